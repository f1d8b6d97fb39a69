package pxe

import (
	"fmt"
	"strings"
)

// ipxe writes a script for each entry and boot.ipxe, which leads to them by the
// port's address, the IPv4 address and the gateway. iPXE cannot compute with
// addresses: the prefixes of groups are not for it.
func (r *renderer) ipxe() {
	var table strings.Builder
	labels := map[string]bool{}
	lead := func(path string, names ...string) {
		for _, l := range names {
			if labels[l] { // two subnets behind one gateway
				continue
			}
			labels[l] = true
			fmt.Fprintf(&table, ":%s\n", l)
		}
		// Without "goto failed" the next label's script would run.
		fmt.Fprintf(&table, "chain %s || goto failed\n", path)
	}
	other := false
	for _, e := range r.entries {
		var path string
		switch d := e.node; {
		case d != nil:
			path = "ipxe/" + d.Name + ".ipxe"
			var names []string
			if !d.infiniBand() {
				names = append(names, dashes(d.MAC.String()))
			}
			if d.IP.IsValid() {
				names = append(names, d.IP.String())
			}
			if len(names) == 0 {
				r.warn("%s: iPXE does not find it: give it an ip", e.what)
				continue
			}
			lead(path, names...)
		case !e.at.IsValid():
			// A host name has no underscore: no node's script has that name.
			path, other = "ipxe/_default.ipxe", true
		case e.values["gateway"] != "" && r.subnet(e.at.Addr()).Prefix == e.at:
			path = "ipxe/_" + hexNames(e.at)[0] + ".ipxe"
			lead(path, "gw-"+e.values["gateway"])
		default:
			continue
		}
		r.add(path, e.what, []byte(r.script(e)))
	}
	b := "#!ipxe\n#" + banner("all nodes") + "\n" +
		"goto ${netX/mac:hexhyp} || goto ${netX/ip} || goto gw-${netX/gateway} || goto other\n" + table.String() +
		":other\n"
	if other {
		b += "chain ipxe/_default.ipxe || goto failed\n"
	} else {
		b += "echo nodisk: ${netX/mac} ${netX/ip} is in no subnet or node that is known here\n"
	}
	b += ":failed\necho nodisk: not booted, going on in 10 s\nsleep 10\nexit 1\n"
	r.add("boot.ipxe", "all nodes", []byte(b))
}

// script boots one entry.
func (r *renderer) script(e entry) string {
	base := r.n.HTTP
	switch {
	case base != "":
	case r.n.Server.IsValid():
		base = "tftp://" + r.n.Server.String() + "/"
	default:
		base = "tftp://${next-server}/"
	}
	var names, initrds strings.Builder
	for i, image := range e.Images {
		// With UEFI the kernel itself asks for the images, by these names.
		name := fmt.Sprintf("initrd%d", i)
		fmt.Fprintf(&names, " initrd=%s", name)
		fmt.Fprintf(&initrds, "initrd --name %s %s%s\n", name, base, image)
	}
	lease, bootIF := e.lease(), e.bootIF()
	if lease == "" && e.IPAppend&1 != 0 {
		lease = "ip=${netX/ip}:${next-server}:${netX/gateway}:${netX/netmask}"
	}
	if e.node == nil && e.IPAppend&2 != 0 {
		bootIF = "BOOTIF=01-${netX/mac:hexhyp}"
	}
	return "#!ipxe\n#" + banner(e.what) + "\nkernel " + base + e.Kernel + names.String() + " " +
		join(e.words, lease, bootIF) + "\n" + initrds.String() + "boot\n"
}
