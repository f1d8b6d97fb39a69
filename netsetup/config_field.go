package netsetup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// methodWord reports whether the text is what ip= has for a method, or two of them:
// "none", "dhcp,auto6".
func methodWord(s string) bool {
	for word := range strings.SplitSeq(s, ",") {
		if word == "" ||
			!slices.ContainsFunc(lease.MethodWords[:], func(w lease.MethodRow) bool { return w.Word == word }) {
			return false
		}
	}
	return true
}

// shifted finds the method in the place of the host name (the fifth field of
// ip=client:server:gateway:netmask:hostname:device:method) or of the device: a field before it
// was left out. No interface has such a name, and hardly any host.
func (p *problems) shifted(a cmdline.Arg, fields []string) {
	const host, device, method = 4, 5, 6
	at := host
	for at < len(fields) && !methodWord(fields[at]) {
		at++
	}
	if at >= min(len(fields), method) {
		return
	}
	is := "host name "
	if at == device {
		is = "device "
	}
	is += strconv.Quote(fields[at]) + " is a method"
	if len(fields) > method && methodWord(fields[method]) { // nothing is missing
		all := slices.Clone(fields)
		all[at] = ""
		p.bad(a, is, "leave it empty: ip="+strings.Join(all, ":"))
		return
	}
	// The name of an interface is usually in the place of the host name because that was left
	// out.
	empty := at
	if at == device && namesInterface(fields[host]) {
		empty = host
	}
	all := slices.Insert(slices.Clone(fields), empty, make([]string, method-at)...)
	p.bad(a, is+": a field is missing before it", "write ip="+strings.Join(all, ":")+
		" with an empty field for what is not given (client:server:gateway:netmask:hostname:device:method)")
}

// namesInterface reports whether a name is of a form that the kernel or udev gives, or that is
// usual for a link made of others.
func namesInterface(name string) bool {
	_, dev := linkWord(name)
	return dev != "" || link.IsUdevName(name) || kernelName(name)
}
