package rootfs

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// A Disk is an iSCSI disk that the command line or DHCP's root-path names.
type Disk struct {
	// Text is what names it, as it was written, but without its password.
	Text   string
	Target iscsi.Target
	// Err says why it cannot be attached; Target is then of no use.
	Err *cmdline.ValueError
}

// parseDisk reads the value of root= or netroot=, which begins with "iscsi:".
func parseDisk(spec string) Disk {
	t, err := iscsi.ParseRootPath(spec)
	return newDisk(hideSecrets(spec), t, err)
}

// newDisk has the error of a target in the words of the command line.
func newDisk(text string, t iscsi.Target, err error) Disk {
	const key = "root or netroot"
	d := Disk{Text: text, Target: t}
	switch {
	case err != nil:
		// The text may hold a password: the package's error does not.
		fix := "write iscsi:SERVER:PROTO:PORT:LUN:TARGET"
		if strings.Contains(err.Error(), "write ") {
			fix = "" // it says so itself
		}
		d.Err = &cmdline.ValueError{Key: key, Value: "iscsi:...", Problem: err.Error(), Fix: fix}
	case t.User != "" || t.ReverseUser != "":
		d.Err = &cmdline.ValueError{
			Key:     key,
			Value:   t.String(),
			Problem: "asks for CHAP, which is not built yet",
			Fix:     "leave the user and password out",
		}
	}
	return d
}

// same reports whether two disks are one that was written twice.
func (d Disk) same(o Disk) bool {
	return d.Text == o.Text && d.Target.String() == o.Target.String() && (d.Err == nil) == (o.Err == nil)
}

// bare reports whether a disk is dracut's netroot=iscsi, which says that the target is named
// elsewhere.
func (d Disk) bare() bool { return strings.TrimSuffix(d.Text, ":") == "iscsi" }

// hideSecrets takes dracut's user:password@ out of an iSCSI root-path.
func hideSecrets(spec string) string {
	if at := strings.LastIndexByte(spec, '@'); at >= 0 && strings.HasPrefix(spec, "iscsi:") {
		return "iscsi:...@" + spec[at+1:]
	}
	return spec
}

// Targets are those of ISCSI, each once, and why the others cannot be attached.
func (r Root) Targets() (targets []iscsi.Target, problems []error) {
	for _, d := range r.ISCSI {
		same := func(o iscsi.Target) bool { return o.String() == d.Target.String() }
		switch {
		case d.Err != nil:
			problems = append(problems, d.Err)
		case !slices.ContainsFunc(targets, same):
			targets = append(targets, d.Target)
		}
	}
	return targets, problems
}

// addISCSI adds a disk to those to attach, once.
func (r *Root) addISCSI(d Disk) {
	if !slices.ContainsFunc(r.ISCSI, d.same) {
		r.ISCSI = append(r.ISCSI, d)
	}
}

// NamedDisks are those of dracut's rd.iscsi.target.*=: one for each address where open-iscsi's way of
// several, with spaces between them, is used. An empty value says nothing. The error is a
// *cmdline.ValueError.
func NamedDisks(args cmdline.Args) ([]Disk, error) {
	name, _ := args.Last("rd.iscsi.target.name")
	ip, _ := args.Last("rd.iscsi.target.ip")
	port, _ := args.Last("rd.iscsi.target.port")
	switch {
	case name == "" && ip == "":
		return nil, nil
	case name == "":
		return nil, &cmdline.ValueError{
			Key:     "rd.iscsi.target.ip",
			Value:   ip,
			Problem: "goes with a name",
			Fix:     "add rd.iscsi.target.name=iqn...",
		}
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, &cmdline.ValueError{
				Key:     "rd.iscsi.target.port",
				Value:   port,
				Problem: "is not a port",
				Fix:     "write a number from 1 to 65535",
			}
		}
	}
	if err := plainPortals(ip); err != nil {
		return nil, err
	}
	servers := strings.Fields(ip)
	if len(servers) == 0 {
		servers = []string{""} // DHCP's
	}
	var disks []Disk
	for _, server := range servers {
		t, err := iscsi.NewTarget(server, port, name)
		if strings.Contains(server, ":") && !strings.HasPrefix(server, "[") {
			server = "[" + server + "]"
		}
		disks = append(disks, newDisk(hideSecrets(fmt.Sprintf("iscsi:%s::%s::%s", server, port, name)), t, err))
	}
	return disks, nil
}

// plainPortals refuses what is more than addresses with spaces between them.
func plainPortals(ips string) error {
	bad := func(problem, fix string) error {
		return &cmdline.ValueError{Key: "rd.iscsi.target.ip", Value: ips, Problem: problem, Fix: fix}
	}
	for ip := range strings.FieldsSeq(ips) {
		switch _, port, err := net.SplitHostPort(ip); {
		case strings.Contains(ip, ","):
			return bad(
				"has a comma",
				`write one address, or several with spaces between them: rd.iscsi.target.ip="10.0.0.1 10.0.1.1"`,
			)
		case err == nil:
			return bad("has a port", "write the address alone, and rd.iscsi.target.port="+port)
		}
	}
	return nil
}

// iscsiRoots are the values of dracut's iscsiroot=, as netroot= has them. An empty one says nothing.
func iscsiRoots(args cmdline.Args) []string {
	var values []string
	for _, spec := range args.All("iscsiroot") {
		if spec != "" {
			values = append(values, "iscsi:"+strings.TrimPrefix(spec, "iscsi:"))
		}
	}
	return values
}

// dropBare drops the bare ones where another word names a target.
func (r *Root) dropBare(firmware bool) error {
	i := slices.IndexFunc(r.ISCSI, Disk.bare)
	if i < 0 {
		return nil
	}
	value := r.ISCSI[i].Text
	r.ISCSI = slices.DeleteFunc(r.ISCSI, Disk.bare)
	if firmware || len(r.ISCSI) > 0 {
		return nil
	}
	return &cmdline.ValueError{
		Key:     "netroot",
		Value:   value,
		Problem: "names no target, nor does another word",
		Fix: "add rd.iscsi.firmware=1 for those of the firmware's iBFT, or write " +
			"netroot=iscsi:SERVER:PROTO:PORT:LUN:TARGET",
	}
}

// diskByLease is the disk of DHCP's root-path. problem says why it cannot be used, and
// fix what to do about it; both are empty if it can.
func diskByLease(rootPath string) (d Disk, problem, fix string) {
	t, err := iscsi.ParseRootPath(rootPath)
	switch {
	case err != nil:
		problem = strings.ReplaceAll(err.Error(), "\n", "; ")
		if !strings.Contains(problem, "write ") { // most say it themselves
			fix = "write iscsi:SERVER:PROTO:PORT:LUN:TARGET there"
		}
	case t.User != "" || t.ReverseUser != "":
		problem = "asks for CHAP, which is not built yet"
		fix = "leave the user and password out there, and restrict the target by initiator name or address"
	}
	return Disk{Text: hideSecrets(rootPath), Target: t}, problem, fix
}
