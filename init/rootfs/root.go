package rootfs

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// A Kind is what a root is made of.
type Kind uint8

// The kinds. The zero value is not a root.
const (
	_          Kind = iota
	KindBlock       // a filesystem on a disk or a partition, local or by iSCSI
	KindNFS         // an NFS export
	KindRAM         // the initramfs stays the root
	KindByDHCP      // not known before DHCP has given a root-path
)

// String returns one word for the plan.
func (k Kind) String() string {
	switch k {
	case KindBlock:
		return "block"
	case KindNFS:
		return "nfs"
	case KindRAM:
		return "ram"
	case KindByDHCP:
		return "dhcp"
	}
	return "none"
}

// A Root says where the root is and how it is mounted. It is made by ParseRoot and, where
// NeedsRootPath says so, completed by WithRootPath.
type Root struct {
	Kind Kind
	// ISCSI are the disks to attach first, in order.
	ISCSI []Disk
	// Besides are LUNs that netroot= names of the target whose LUN root=/dev/disk/by-path/
	// chooses. They are attached as well.
	Besides []iscsi.LUN
	// Firmware: the targets of the firmware's table (iBFT) are attached as well.
	Firmware bool
	// Block chooses among the block devices: among those of ISCSI when there
	// are any. The zero Selector is the only filesystem of the iSCSI disk.
	Block Selector
	// NFS is the export of KindNFS. Server and %s are completed by NFS.For.
	NFS NFS
	// RootPath is set while DHCP's root-path is still missing.
	RootPath bool
	FSType   string // rootfstype=; empty: as the superblock says
	Flags    string // rootflags=
	ReadOnly bool   // ro, which is the default as in the kernel, against rw
	// Hint is for the error of a root that does not appear; mostly empty.
	Hint string
}

// NeedsRootPath reports whether the root is complete only with DHCP's root-path.
func (r Root) NeedsRootPath() bool { return r.RootPath }

// NeedsNetwork reports whether the root cannot be reached without a network.
func (r Root) NeedsNetwork() bool {
	return r.RootPath || len(r.ISCSI) > 0 || r.Firmware || r.Kind == KindNFS
}

// String is a line for the plan.
func (r Root) String() string {
	var words []string
	switch r.Kind {
	case KindBlock:
		words = append(words, r.Block.String())
		if r.RootPath {
			words = append(words, "on the iSCSI disk of DHCP's root-path")
		}
		for _, d := range r.ISCSI {
			words = append(words, "on "+d.Text)
		}
		if r.Firmware {
			words = append(words, "on what the firmware's iBFT names")
		}
	case KindNFS:
		if r.RootPath {
			words = append(words, "the NFS export of DHCP's root-path")
		} else {
			words = append(words, r.NFS.String())
		}
	case KindRAM:
		return "the initramfs stays the root"
	case KindByDHCP:
		words = append(words, "what DHCP's root-path says")
	default:
		return "no root"
	}
	if r.FSType != "" && r.Kind != KindNFS { // an NFS root has no other type
		words = append(words, "type "+r.FSType)
	}
	if r.Flags != "" {
		words = append(words, "options "+r.Flags)
	}
	if r.readOnly() {
		return strings.Join(append(words, "read-only"), ", ")
	}
	return strings.Join(append(words, "read-write"), ", ")
}

// forms is the help of every root= error.
const forms = "write root=iscsi:SERVER:PROTO:PORT:LUN:TARGET, root=LABEL=, UUID=, PARTUUID=, PARTLABEL= or " +
	"/dev/NAME (with netroot=iscsi:... or netroot=dhcp for an iSCSI disk), " +
	"root=/dev/nfs nfsroot=SERVER:/PATH, root=nfs:SERVER:/PATH, root=nfs4:SERVER:/PATH, root=SERVER:/PATH, " +
	"root=dhcp or root=/dev/ram"

// ParseRoot reads root=, netroot=, iscsiroot=, nfsroot=, rootfstype=, rootflags=, ro, rw,
// rootwait and rootdelay=. The last root= counts, as in the kernel; every
// netroot=iscsi: counts, and so do the disks of NamedDisks. All errors are
// *cmdline.ValueError, joined. An iSCSI disk that cannot be attached is none of them: it is
// in the Root, with its error.
func ParseRoot(args cmdline.Args, named ...Disk) (Root, error) {
	r := Root{ReadOnly: true}
	for _, a := range args {
		switch {
		case !a.HasValue && a.Key == "ro":
			r.ReadOnly = true
		case !a.HasValue && a.Key == "rw":
			r.ReadOnly = false
		}
	}
	r.FSType, _ = args.Last("rootfstype")
	r.Flags, _ = args.Last("rootflags")
	var errs []error
	if s, ok := args.Last("rootdelay"); ok {
		if _, err := strconv.ParseUint(s, 10, 31); err != nil {
			errs = append(
				errs,
				&cmdline.ValueError{
					Key:     "rootdelay",
					Value:   s,
					Problem: "is not a number of seconds",
					Fix:     "leave it out: nodisk waits for the device itself",
				},
			)
		}
	}
	value, ok := args.Last("root")
	link, byPath := parsePathLink(value)
	ok = ok && !byPath // which says what a netroot= would
	if err := r.parseNetroot(slices.Concat(args.All("netroot"), iscsiRoots(args)), named, link, byPath); err != nil {
		errs = append(errs, err)
	}
	firmware, err := firmwareRoot(args)
	if err != nil {
		errs = append(errs, err)
	}
	boot, err := bootWord(args)
	if err != nil {
		errs = append(errs, err)
	}
	if boot == "nfs" && !ok && r.Kind == 0 && len(r.ISCSI) == 0 {
		value, ok = "/dev/nfs", true
	}
	switch {
	case ok && value == "ibft":
		firmware = true
		if r.Kind == 0 {
			r.Kind = KindBlock
		}
	case ok:
		if err := r.parseRoot(value, args); err != nil {
			errs = append(errs, err)
		}
	case len(r.ISCSI) > 0, r.Kind == 0 && firmware:
		r.Kind = KindBlock
	case r.Kind == 0 && len(errs) == 0:
		errs = append(errs, missing(args))
	}
	if boot == "nfs" && r.Kind == KindBlock {
		errs = append(
			errs,
			&cmdline.ValueError{
				Key:     "boot",
				Value:   boot,
				Problem: "contradicts the root on a disk",
				Fix:     "leave it out, or write root=/dev/nfs nfsroot=SERVER:/PATH",
			},
		)
	}
	if err := r.dropBare(firmware); err != nil {
		errs = append(errs, err)
	}
	// A root that is not on a disk has no use for it.
	r.Firmware = firmware && (r.Kind == KindBlock || r.Kind == KindByDHCP)
	if r.Kind == KindNFS && len(errs) == 0 {
		n, err := r.NFS.withOptions(r.Flags)
		if err != nil {
			errs = append(errs, &cmdline.ValueError{Key: "rootflags", Value: r.Flags, Problem: err.Error()})
		}
		r.NFS = n
	}
	if err := errors.Join(errs...); err != nil {
		return Root{}, err
	}
	return r, nil
}

// bootWord is boot= where it says where the root is: nfs or local, those of initramfs-tools(7).
// casper and live-boot use the key for a live system; dracut and others for more that does not
// concern nodisk.
func bootWord(args cmdline.Args) (string, error) {
	switch word, _ := args.Last("boot"); word {
	case "nfs", "local":
		return word, nil
	case "live", "casper":
		return "", &cmdline.ValueError{
			Key:     "boot",
			Value:   word,
			Problem: "asks for a live system: an image on a medium or a share, which is not built yet",
			Fix:     "leave it out, with root=nfs:SERVER:/PATH for a directory that holds the root's files",
		}
	}
	return "", nil
}

// missing is the error of a command line without a root.
func missing(args cmdline.Args) error {
	if nfsroot, ok := args.Last("nfsroot"); ok {
		return &cmdline.ValueError{
			Key:     "nfsroot",
			Value:   nfsroot,
			Problem: "is there but root= is not",
			Fix:     "add root=/dev/nfs",
		}
	}
	for _, k := range ImageKeys() {
		if value, ok := args.Last(k.Name); ok {
			return notBuilt(k.Name, value, "an image over HTTP")
		}
	}
	return &cmdline.ValueError{Key: "root", Problem: "is missing", Fix: forms}
}

// firmwareRoot reports whether the targets of the firmware's table are wanted.
func firmwareRoot(args cmdline.Args) (bool, error) {
	wanted := false
	for _, key := range []string{"rd.iscsi.firmware", "rd.iscsi.ibft"} {
		on, err := args.Bool(key, false)
		if err != nil {
			return false, err
		}
		wanted = wanted || on
	}
	return wanted || NamesFirmware(args), nil
}

// NamesFirmware reports whether a netroot= or iscsiroot= says that the target is in the
// firmware's table.
func NamesFirmware(args cmdline.Args) bool {
	return slices.ContainsFunc(slices.Concat(args.All("netroot"), iscsiRoots(args)), isFirmware)
}

// isFirmware is NamesFirmware of one: ibft, or what people make of it and dracut's iscsi:.
func isFirmware(netroot string) bool { return netroot == "ibft" || netroot == "iscsi:ibft" }

func notBuilt(key, value, what string) error {
	return &cmdline.ValueError{
		Key:     key,
		Value:   value,
		Problem: "asks for a root from " + what + ", which is not built yet",
		Fix:     forms,
	}
}

// parseNetroot leaves the disks in ISCSI, the named ones last, and DHCP or NFS in Kind.
func (r *Root) parseNetroot(values []string, named []Disk, link pathLink, byPath bool) error {
	var errs []error
	for _, v := range values {
		bad := func(problem string) {
			errs = append(
				errs,
				&cmdline.ValueError{
					Key:     "netroot",
					Value:   hideSecrets(v),
					Problem: problem,
					Fix:     "write netroot=iscsi:SERVER:PROTO:PORT:LUN:TARGET or netroot=dhcp",
				},
			)
		}
		problem, _ := foreign(v)
		switch {
		case v == "dhcp" || v == "dhcp4" || v == "dhcp6":
			r.RootPath, r.Kind = true, KindByDHCP
		case isFirmware(v): // see firmwareRoot
		case (v == "iscsi" || strings.HasPrefix(v, "iscsi:")) && problem == "":
			r.addISCSI(parseDisk(v))
		case (strings.HasPrefix(v, "nfs:") || strings.HasPrefix(v, "nfs4:")) && problem == "":
			n, err := ParseNFS(v)
			if err != nil {
				bad(err.Error())
			}
			r.Kind, r.NFS = KindNFS, n
		default:
			what := laterForm(v)
			switch {
			case what != "":
				errs = append(errs, notBuilt("netroot", v, what))
			case problem != "":
				bad(problem)
			default:
				bad("is not a kind of network root that nodisk knows")
			}
		}
	}
	for _, d := range named {
		r.addISCSI(d)
	}
	if byPath {
		r.ISCSI, r.Besides = link.among(r.ISCSI)
		r.Block = link.part
	}
	if len(r.ISCSI) > 0 && r.Kind != 0 {
		errs = append(
			errs,
			&cmdline.ValueError{
				Key:     "netroot",
				Value:   r.Kind.String(),
				Problem: "contradicts the netroot=iscsi: beside it",
				Fix:     "keep one of them",
			},
		)
	}
	return errors.Join(errs...)
}

// parseRoot reads root=. The value is a place on its own, or a selector whose
// disks netroot= attaches.
func (r *Root) parseRoot(value string, args cmdline.Args) error {
	bad := func(problem, fix string) error {
		return &cmdline.ValueError{Key: "root", Value: hideSecrets(value), Problem: problem, Fix: fix}
	}
	value = strings.TrimPrefix(value, "block:") // dracut's word for a local disk
	what := laterForm(value)
	problem, fix := foreign(value)
	byNFS := r.Kind == KindNFS
	switch {
	case value == "":
		return bad("is empty", forms)
	case what != "":
		return notBuilt("root", value, what)
	case problem != "":
		return bad(problem, fix)

	case value == "iscsi" || strings.HasPrefix(value, "iscsi:"):
		if r.Kind != 0 {
			return bad("contradicts netroot="+r.Kind.String(), "keep one of them")
		}
		d := parseDisk(value)
		r.Kind, r.ISCSI = KindBlock, append([]Disk{d}, slices.DeleteFunc(r.ISCSI, d.same)...)
	case value == "dhcp" || value == "dhcp4" || value == "dhcp6":
		if len(r.ISCSI) > 0 || byNFS {
			return bad("contradicts the netroot= that names a server", "keep one of them")
		}
		r.Kind, r.RootPath = KindByDHCP, true
	case value == "/dev/ram" || value == "/dev/ram0" || value == "ramfs":
		if r.Kind != 0 || len(r.ISCSI) > 0 {
			return bad("stays in memory, which netroot= contradicts", "keep one of them")
		}
		r.Kind = KindRAM
	case value == "/dev/root": // dracut's placeholder: netroot= says all
		switch {
		case len(r.ISCSI) > 0:
			r.Kind = KindBlock
		case r.Kind == 0:
			return bad("is a placeholder that goes with netroot=", forms)
		}
	case value == "/dev/nfs" || value == "/dev/nfs4":
		return r.parseDevNFS(value, args)
	case strings.HasPrefix(value, "nfs:"), strings.HasPrefix(value, "nfs4:"), isServerPath(value):
		n, err := ParseNFS(value)
		if err != nil {
			return bad(err.Error(), "write root=nfs:SERVER:/PATH")
		}
		if r.Kind != 0 || len(r.ISCSI) > 0 {
			return bad("is an NFS export, which netroot= contradicts", "keep one of them")
		}
		r.Kind, r.NFS = KindNFS, n
	default:
		s, err := parseSelector(value)
		if err != nil {
			return bad(err.Error(), forms)
		}
		if byNFS {
			return bad("names a block device, which netroot=nfs: contradicts", "keep one of them")
		}
		r.Kind, r.Block = KindBlock, s
	}
	return nil
}

// isServerPath distinguishes 10.0.0.1:/path from everything else in the grammar.
func isServerPath(s string) bool {
	server, _, ok := strings.Cut(s, ":/")
	return ok && server != "" && !strings.ContainsAny(server, "=/")
}

func (r *Root) parseDevNFS(value string, args cmdline.Args) error {
	if len(r.ISCSI) > 0 {
		return &cmdline.ValueError{
			Key:     "root",
			Value:   value,
			Problem: "is an NFS export, which netroot=iscsi: contradicts",
			Fix:     "keep one of them",
		}
	}
	if r.Kind == KindNFS { // netroot=nfs: says all
		return nil
	}
	nfsroot, _ := args.Last("nfsroot")
	n, err := parseNFSRoot(nfsroot)
	if err == nil && value == "/dev/nfs4" && len(n.Versions) > 1 {
		n.Versions = onlyFour()
	}
	if err != nil {
		return &cmdline.ValueError{
			Key:     "nfsroot",
			Value:   nfsroot,
			Problem: err.Error(),
			Fix:     "write nfsroot=SERVER:/PATH,OPTIONS, or leave it out for what DHCP says",
		}
	}
	r.Kind, r.NFS, r.RootPath = KindNFS, n, n.Path == ""
	return nil
}
