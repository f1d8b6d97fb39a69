package rootfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

const spec = "iscsi:10.0.0.1::::iqn.2026-01.test:a"

// disks are what root paths say, read by the package that knows them.
func disks(t *testing.T, specs ...string) []Disk {
	t.Helper()
	var list []Disk
	for _, s := range specs {
		target, err := iscsi.ParseRootPath(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Disk{Text: s, Target: target})
	}
	return list
}

func TestParseRoot(t *testing.T) {
	export := func(order []NFSVersion, options string) NFS {
		return NFS{Server: "10.0.0.1", Path: "/srv/root", Versions: order, Options: options}
	}
	for line, want := range map[string]Root{
		"root=" + spec:                   {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		"root=" + spec + " rw":           {Kind: KindBlock, ISCSI: disks(t, spec)},
		"rw ro root=" + spec:             {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		"netroot=" + spec:                {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		"root=/dev/root netroot=" + spec: {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		"netroot=" + spec + " root=LABEL=root netroot=iscsi:10.0.0.2::::iqn.2026-01.test:a rootflags=noatime rootfstype=ext4 rootwait rootdelay=5": {
			Kind: KindBlock, ISCSI: disks(t, spec, "iscsi:10.0.0.2::::iqn.2026-01.test:a"), Block: Selector{ByLabel, "root"},
			Flags: "noatime", FSType: "ext4", ReadOnly: true,
		},
		"root=UUID=" + testUUID: {Kind: KindBlock, Block: Selector{ByUUID, testUUID}, ReadOnly: true},
		`root="LABEL=my root"`:  {Kind: KindBlock, Block: Selector{ByLabel, "my root"}, ReadOnly: true},
		`root=LABEL="my root"`:  {Kind: KindBlock, Block: Selector{ByLabel, "my root"}, ReadOnly: true},
		"root=block:/dev/sda1":  {Kind: KindBlock, Block: Selector{ByName, "sda1"}, ReadOnly: true},
		"root=a root=/dev/sda1": {Kind: KindBlock, Block: Selector{ByName, "sda1"}, ReadOnly: true},

		"root=dhcp":                        {Kind: KindByDHCP, RootPath: true, ReadOnly: true},
		"netroot=dhcp":                     {Kind: KindByDHCP, RootPath: true, ReadOnly: true},
		"netroot=dhcp root=/dev/root":      {Kind: KindByDHCP, RootPath: true, ReadOnly: true},
		"netroot=dhcp root=PARTLABEL=root": {Kind: KindBlock, Block: Selector{ByPartLabel, "root"}, RootPath: true, ReadOnly: true},

		"root=/dev/nfs nfsroot=10.0.0.1:/srv/root,tcp rw":           {Kind: KindNFS, NFS: export(kernelOrder(), "tcp")},
		"root=/dev/nfs nfsroot=10.0.0.1:/srv/root,v4.1":             {Kind: KindNFS, NFS: export([]NFSVersion{NFS41}, ""), ReadOnly: true},
		"root=/dev/nfs nfsroot=10.0.0.1:/srv/root rootflags=vers=3": {Kind: KindNFS, NFS: export([]NFSVersion{NFS3}, ""), Flags: "vers=3", ReadOnly: true},
		"root=/dev/nfs":                                {Kind: KindNFS, NFS: NFS{Versions: kernelOrder()}, RootPath: true, ReadOnly: true},
		"root=/dev/nfs nfsroot=,vers=3,nolock":         {Kind: KindNFS, NFS: NFS{Versions: []NFSVersion{NFS3}, Options: "nolock"}, RootPath: true, ReadOnly: true},
		"root=/dev/nfs nfsroot=/srv/%s":                {Kind: KindNFS, NFS: NFS{Path: "/srv/%s", Versions: kernelOrder()}, ReadOnly: true},
		"root=nfs:10.0.0.1:/srv/root:vers=4,port=2050": {Kind: KindNFS, NFS: export(onlyFour(), "port=2050"), ReadOnly: true},
		"root=nfs4:10.0.0.1:/srv/root":                 {Kind: KindNFS, NFS: export(onlyFour(), ""), ReadOnly: true},
		"root=10.0.0.1:/srv/root":                      {Kind: KindNFS, NFS: export(newestFirst(), ""), ReadOnly: true},
		"netroot=nfs:10.0.0.1:/srv/root":               {Kind: KindNFS, NFS: export(newestFirst(), ""), ReadOnly: true},
		"root=/dev/nfs netroot=nfs:10.0.0.1:/srv/root": {Kind: KindNFS, NFS: export(newestFirst(), ""), ReadOnly: true},

		// initramfs-tools(7).
		"root=/dev/nfs boot=nfs nfsroot=auto":      {Kind: KindNFS, NFS: NFS{Versions: kernelOrder()}, RootPath: true, ReadOnly: true},
		"root=/dev/nfs nfsroot=auto,vers=3,nolock": {Kind: KindNFS, NFS: NFS{Versions: []NFSVersion{NFS3}, Options: "nolock"}, RootPath: true, ReadOnly: true},
		"boot=nfs nfsroot=10.0.0.1:/srv/root":      {Kind: KindNFS, NFS: export(kernelOrder(), ""), ReadOnly: true},
		"boot=nfs root=10.0.0.1:/srv/root":         {Kind: KindNFS, NFS: export(newestFirst(), ""), ReadOnly: true},
		"boot=local root=LABEL=a":                  {Kind: KindBlock, Block: Selector{ByLabel, "a"}, ReadOnly: true},
		"boot=UUID=1-2 root=LABEL=a":               {Kind: KindBlock, Block: Selector{ByLabel, "a"}, ReadOnly: true}, // dracut's fips
		// Servers that look like schemes.
		"root=nfs-1:/srv/root":      {Kind: KindNFS, NFS: NFS{Server: "nfs-1", Path: "/srv/root", Versions: newestFirst()}, ReadOnly: true},
		"root=nfs:ceph:/srv/root":   {Kind: KindNFS, NFS: NFS{Server: "ceph", Path: "/srv/root", Versions: newestFirst()}, ReadOnly: true},
		"root=10.0.0.1://srv/root":  {Kind: KindNFS, NFS: NFS{Server: "10.0.0.1", Path: "//srv/root", Versions: newestFirst()}, ReadOnly: true},
		"root=a.example://srv/root": {Kind: KindNFS, NFS: NFS{Server: "a.example", Path: "//srv/root", Versions: newestFirst()}, ReadOnly: true},
		// Said twice.
		"netroot=" + spec + " netroot=" + spec: {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		"root=" + spec + " netroot=" + spec:    {Kind: KindBlock, ISCSI: disks(t, spec), ReadOnly: true},
		// dracut's placeholder beside what names the target.
		"netroot=iscsi root=LABEL=a netroot=" + spec:    {Kind: KindBlock, ISCSI: disks(t, spec), Block: Selector{ByLabel, "a"}, ReadOnly: true},
		"netroot=iscsi: root=LABEL=a rd.iscsi.firmware": {Kind: KindBlock, ISCSI: []Disk{}, Firmware: true, Block: Selector{ByLabel, "a"}, ReadOnly: true},

		"root=/dev/ram":     {Kind: KindRAM, ReadOnly: true},
		"root=/dev/ram0 rw": {Kind: KindRAM},
		"root=ramfs":        {Kind: KindRAM, ReadOnly: true},
	} {
		t.Run(line, func(t *testing.T) {
			got, err := ParseRoot(cmdline.Parse(line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRootRefuses(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                                {"root= is missing; write root=iscsi:"},
		"nfsroot=10.0.0.1:/srv":                           {"nfsroot=10.0.0.1:/srv: is there but root= is not; add root=/dev/nfs"},
		"root=":                                           {"root= is empty"},
		"root=sda1":                                       {"root=sda1: is not LABEL=", "root=dhcp or root=/dev/ram"},
		"root=/dev/mapper/vg-root":                        {"device-mapper"},
		"root=/dev/root":                                  {"placeholder"},
		"root=live:http://x/y":                            {"an image, which is not built yet"},
		"root=https://x/y.squashfs":                       {"an image over HTTP, which is not built yet"},
		"root=tftp://x/y":                                 {"not built yet"},
		"root=LABEL=a rd.iscsi.ibft=2":                    {"rd.iscsi.ibft=2: is not a switch"},
		"netroot=nbd:x root=LABEL=a":                      {"netroot=nbd:x: asks for a network block device (NBD), which nodisk does not have"},
		"netroot=x root=LABEL=a":                          {"netroot=x: is not a kind of network root"},
		"root=dhcp netroot=" + spec:                       {"root=dhcp: contradicts the netroot="},
		"root=/dev/ram netroot=" + spec:                   {"root=/dev/ram: stays in memory"},
		"root=/dev/nfs netroot=" + spec:                   {"is an NFS export"},
		"root=" + spec + " netroot=dhcp":                  {"contradicts netroot=dhcp"},
		"root=LABEL=a boot=nfs":                           {"boot=nfs: contradicts the root on a disk"},
		"root=/dev/nfs boot=casper":                       {"boot=casper: asks for a live system", "not built yet"},
		"boot=live root=/dev/nfs":                         {"boot=live: asks for a live system"},
		"ip=ibft netroot=iscsi: root=/dev/sda":            {"netroot=iscsi:: names no target", "add rd.iscsi.firmware=1"},
		"netroot=dhcp netroot=" + spec + " root=LABEL=a":  {"netroot=dhcp: contradicts"},
		"root=10.0.0.1:/a,vers=5":                         {`wants NFS version "5"`},
		"root=/dev/nfs nfsroot=10.0.0.1":                  {"nfsroot=10.0.0.1: is not [server:]/path"},
		"root=LABEL= rootdelay=x":                         {"root=LABEL=: has no value", "rootdelay=x: is not a number"},
		"root=iscsi:me:secret@10.0.0.1::::a netroot=dhcp": {"root=iscsi:...@10.0.0.1::::a: contradicts"},
	} {
		t.Run(line, func(t *testing.T) {
			got, err := ParseRoot(cmdline.Parse(line))
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if _, ok := errors.AsType[*cmdline.ValueError](err); !ok {
				t.Errorf("%T is no ValueError", err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v\nlacks %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("tells the secret: %v", err)
			}
		})
	}
}

// Kinds of root that nodisk does not have are told so, and never taken for an NFS
// server by that name.
func TestForeignRoots(t *testing.T) {
	for root, want := range map[string]string{
		"cifs://10.0.0.1/share":            "asks for a CIFS share, which nodisk does not have",
		"smb://10.0.0.1/share":             "a CIFS share",
		"nbd://10.0.0.1/root":              "a network block device (NBD)",
		"nbd:10.0.0.1:root":                "a network block device (NBD)",
		"nbd:10.0.0.1:/root":               "a network block device (NBD)",
		"s3://bucket/root":                 "an object store",
		"nvme://h:4420/nqn.x":              "a namespace of NVMe over Fabrics",
		"squash:http://10.0.0.1/squashfs":  "an image, which is not built yet",
		"virtiofs:tag":                     "a virtiofs share",
		"bind:/run/machines/root":          "a directory that something else has filled",
		"cifs:/x":                          "a CIFS share, which nodisk does not have; write nfs:cifs:/x if that is an NFS server called cifs",
		"virtiofs:/x":                      "a virtiofs share",
		"9p:/x":                            "a 9p share",
		"ceph:/x":                          "a Ceph file system",
		"overlay:/x":                       "an overlay",
		"iscsi://10.0.0.1/iqn.2026-01.a:b": "is a URL, of which iSCSI has none here; write iscsi:SERVER:PROTO:PORT:LUN:TARGET",
		"bind:run/machines/root":           "a directory that something else has filled",
		"gopher://10.0.0.1/root":           "gopher: is not a kind of root that nodisk knows",
		"host://srv":                       "host: is not a kind of root that nodisk knows",
	} {
		for _, line := range []string{"root=" + root, "root=/dev/nfs nfsroot=" + root, "netroot=" + root} {
			r, err := ParseRoot(cmdline.Parse(line))
			// In nfsroot= there are only servers.
			_, rest, _ := strings.Cut(root, ":")
			server := strings.HasPrefix(line, "root=/dev/nfs") && strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "//")
			if (err == nil) != server {
				t.Errorf("%s: %v, %v", line, r, err)
			}
			if strings.HasPrefix(line, "root="+root) && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nlacks %q", line, err, want)
			}
		}
		r, err := ParseRoot(cmdline.Parse("root=dhcp"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err = r.WithRootPath(root); err == nil {
			t.Errorf("root path %s: %v, %v", root, r, err)
		}
	}
}

// The plan says how the root is mounted: options win over ro and rw.
func TestReadOnlyByOptions(t *testing.T) {
	for line, want := range map[string]string{
		"root=nfs:10.0.0.1:/srv:rw":                     "10.0.0.1:/srv by NFS 4.2, 4.1, 4.0, 3 (rw), read-write",
		"root=nfs:10.0.0.1:/srv:ro rw":                  "10.0.0.1:/srv by NFS 4.2, 4.1, 4.0, 3 (ro), read-only",
		"root=LABEL=a rootflags=rw,noatime":             "LABEL=a, options rw,noatime, read-write",
		"root=LABEL=a rw rootflags=noatime,ro":          "LABEL=a, options noatime,ro, read-only",
		"root=nfs:10.0.0.1:/srv rw rootflags=vers=3,ro": "10.0.0.1:/srv by NFS 3 (ro), options vers=3,ro, read-only",
	} {
		r, err := ParseRoot(cmdline.Parse(line))
		if got := r.String(); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", line, got, err, want)
		}
	}
}

func TestWithRootPath(t *testing.T) {
	const fail = "fails: "
	for _, tt := range []struct{ line, rootPath, want string }{
		{"root=dhcp", spec, "the disk's only filesystem, on " + spec + ", read-only"},
		{"root=dhcp", spec + "\x00", "the disk's only filesystem, on " + spec + ", read-only"},
		{"root=dhcp", "nfs4:10.0.0.1:/srv/root", "10.0.0.1:/srv/root by NFS 4.2, 4.1, 4.0, read-only"},
		{"root=dhcp rootflags=vers=3,noatime", "10.0.0.1:/srv/root,hard", "10.0.0.1:/srv/root by NFS 3 (hard,noatime), options vers=3,noatime, read-only"},
		{"root=dhcp rw", "/srv/root", ":/srv/root by NFS 4.2, 4.1, 4.0, 3, read-write"},
		{"root=/dev/nfs", "10.0.0.1:/srv/root", "10.0.0.1:/srv/root by NFS 3, 4.2, 4.1, 4.0, read-only"},
		{"root=/dev/nfs nfsroot=,v4.0,soft", "10.0.0.1:/srv/root,v3", "10.0.0.1:/srv/root by NFS 4.0 (soft), read-only"},
		{"root=/dev/nfs", "10.0.0.1:/srv/root,v4.1", "10.0.0.1:/srv/root by NFS 4.1, read-only"},
		{"root=/dev/nfs nfsroot=10.0.0.2:/mine", spec, "10.0.0.2:/mine by NFS 3, 4.2, 4.1, 4.0, read-only"},
		{"netroot=dhcp root=LABEL=a", spec, "LABEL=a, on " + spec + ", read-only"},
		{"root=/dev/ram", spec, "the initramfs stays the root"},
		{"root=dhcp", "nfs://10.0.0.1/srv/root", "10.0.0.1:/srv/root by NFS 4.2, 4.1, 4.0, 3, read-only"},
		{"root=dhcp", "nfs:vers=3:10.0.0.1:/srv", "10.0.0.1:/srv by NFS 3, read-only"},
		{"root=dhcp", "", fail + "root-path (DHCP option 17)= is missing from the lease"},
		{"root=dhcp", "http://x/y", fail + "an image over HTTP, which is not built yet"},
		{"root=dhcp", "garbage", fail + "is not [server:]/path"},
		{"root=dhcp", "10.0.0.1:/srv/\x1b[2J", fail + `root-path (DHCP option 17)="10.0.0.1:/srv/\x1b[2J": holds bytes that are not text`},
		{"root=dhcp", "iscsi:me:secret@10.0.0.1::::iqn.2026-01.x:\u009b1m", fail + `="iscsi:...@10.0.0.1::::iqn.2026-01.x:\u009b1m": holds bytes`},
		{"root=dhcp", "10.0.0.1:/srv/gr\xf6\xdfe", fail + `\xf6`},
		{"root=dhcp", "10.0.0.1:/srv/größe", "10.0.0.1:/srv/größe by NFS 4.2, 4.1, 4.0, 3, read-only"},
		{"root=/dev/nfs", "10.0.0.1:/srv\nroot", fail + `\n`},
		{"root=/dev/nfs", spec, fail + "is an iSCSI disk, but root=/dev/nfs wants an export"},
		{"netroot=dhcp root=LABEL=a", "10.0.0.1:/srv", fail + "is not an iSCSI disk, but root=LABEL=a wants one"},
	} {
		r, err := ParseRoot(cmdline.Parse(tt.line))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.WithRootPath(tt.rootPath)
		wanted, fails := strings.CutPrefix(tt.want, fail)
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), wanted)):
			t.Errorf("%s and %q: %v, %v, want an error with %q", tt.line, tt.rootPath, got, err, wanted)
		case !fails && (err != nil || got.String() != wanted):
			t.Errorf("%s and %q:\n got %v, %v\nwant %s", tt.line, tt.rootPath, got, err, wanted)
		case !fails && got.NeedsRootPath():
			t.Errorf("%s and %q: still needs a root-path", tt.line, tt.rootPath)
		}
	}
}

func TestWithRootPathHints(t *testing.T) {
	r, err := ParseRoot(cmdline.Parse("root=LABEL=a"))
	if err != nil {
		t.Fatal(err)
	}
	r, err = r.WithRootPath("iscsi:u:secret@10.0.0.1::::iqn.a")
	if err != nil || r.Hint != "DHCP offers the iSCSI disk iscsi:...@10.0.0.1::::iqn.a: add netroot=dhcp to attach it" {
		t.Errorf("%q, %v", r.Hint, err)
	}
}

func FuzzParseRoot(f *testing.F) {
	for _, s := range []string{
		"root=" + spec, "root=LABEL=a netroot=dhcp", "root=/dev/nfs nfsroot=1.2.3.4:/a,v3 rw", "root=nfs:[fe80::1%eth0]:/a:vers=4",
		"netroot=nfs:/a root=dhcp", "root=http://", "root=/dev/disk/by-uuid/a rootdelay=1",
	} {
		f.Add(s, "iscsi:a")
		f.Add(s, "1.2.3.4:/a,v4")
	}
	f.Fuzz(func(t *testing.T, line, rootPath string) {
		r, err := ParseRoot(cmdline.Parse(line))
		if err != nil {
			return
		}
		if r.Kind == 0 || r.String() == "" {
			t.Errorf("%q: %+v", line, r)
		}
		r, err = r.WithRootPath(rootPath)
		if err == nil && (r.NeedsRootPath() || r.Kind == KindByDHCP || r.Kind == KindNFS && r.NFS.Path == "") {
			t.Errorf("%q with %q is not complete: %+v", line, rootPath, r)
		}
	})
}
