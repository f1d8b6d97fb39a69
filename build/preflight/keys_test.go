package preflight

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// Of every key nodisk plan says what /init makes of it: the same warnings, the same
// errors, and what is not needed as a note.
func TestPlanTellsOfKeys(t *testing.T) {
	for _, k := range plan.Keys() {
		for _, base := range []string{"root=/dev/ram", "root=LABEL=a", "root=LABEL=a netroot=iscsi:10.0.0.1::::iqn.2026-01.org.example:a ip=eth0:dhcp"} {
			line := cmdline.Parse(base + " " + k.Example)
			r, err := Check(t.Context(), Input{Line: line})
			if err != nil {
				t.Fatal(err)
			}
			p, planErr := plan.New(line, nil)
			for _, part := range []struct {
				what       string
				want, have []string
			}{{"warnings", p.Warnings, r.Doubts}, {"notes", p.Notes, r.Notes}} {
				for _, w := range part.want {
					if !slices.Contains(part.have, "command line: "+w) {
						t.Errorf("%s %s: the %s of nodisk plan, %q, lack %q", base, k.Example, part.what, part.have, w)
					}
				}
			}
			if r.Boots() != (planErr == nil) {
				t.Errorf("%s %s: nodisk plan: %s; /init: %v", base, k.Example, r.Verdict(false), planErr)
			}
			for _, d := range r.Doubts {
				if strings.Contains(d, "did you mean") {
					t.Errorf("%s: %s", k.Example, d)
				}
			}
		}
	}
}

// about are the lines of nodisk plan that speak of a key, without the beginning that
// all have.
func about(lines []string, key string) []string {
	var list []string
	for _, l := range lines {
		l = strings.TrimPrefix(l, "command line: ")
		if strings.HasPrefix(l, key+":") || strings.HasPrefix(l, key+"=") {
			list = append(list, l)
		}
	}
	return list
}

// What nodisk plan says of a key is what the table of keys says: nothing of one that is
// done, one note of one that is not needed, one warning of one without effect, and one
// fault of one that is refused, with what to write instead. What it is taken as is a
// note besides.
func TestPlanAgreesWithKeys(t *testing.T) {
	bases := []string{
		"root=LABEL=a netroot=iscsi:10.0.0.1::::iqn.2026-01.org.example:a ip=eth0:dhcp", "ip=dhcp root=/dev/nfs",
		"root=LABEL=a rd.iscsi.target.name=iqn.2026-01.org.example:a rd.iscsi.target.ip=10.0.0.1", "root=LABEL=a BOOTIF=01-52-54-00-12-34-56 rd.neednet=1", "",
	}
	keys := map[string]cmdline.Key{}
	for _, k := range plan.Keys() {
		keys[k.Name] = k
	}
	for _, k := range plan.Keys() {
		name, value, _ := strings.Cut(k.Example, "=")
		own, is := name, k
		var notes, doubts, faults []string
		if k.As != "" {
			notes = append(notes, name+": taken as "+k.As)
			own, is = k.As, keys[k.As]
		}
		switch is.State {
		case cmdline.KeyDone, cmdline.KeyForeign:
		case cmdline.KeyNotNeeded:
			notes = append(notes, own+": not needed: "+is.Why)
		case cmdline.KeyInstead:
			doubts = append(doubts, own+": without effect: "+is.Why)
		case cmdline.KeyLater:
			doubts = append(doubts, own+": not built yet, without effect")
		case cmdline.KeyRefused:
			problem, fix, _ := strings.Cut(is.Why, ": ")
			if own != "team" { // the network's, which names the value
				value = "..."
			}
			faults = append(faults, own+"="+value+": "+problem+"; "+fix)
		default:
			t.Fatalf("state %v of %s", is.State, own)
		}
		var tried []string
		if !slices.ContainsFunc(bases, func(base string) bool {
			r, err := Check(t.Context(), Input{Line: cmdline.Parse(base + " " + k.Example)})
			if err != nil {
				t.Fatal(err)
			}
			names := slices.Compact([]string{name, own})
			said := func(lines []string) (list []string) {
				for _, n := range names {
					list = append(list, about(lines, n)...)
				}
				return list
			}
			n, d, f := said(r.Notes), said(r.Doubts), said(r.Faults)
			tried = append(tried, fmt.Sprintf("%s: notes %q, warnings %q, faults %q, %s", base, n, d, f, r.Verdict(false)))
			return slices.Equal(n, notes) && slices.Equal(d, doubts) && slices.Equal(f, faults) && r.Boots() == (faults == nil)
		}) {
			t.Errorf("%s: want notes %q, warnings %q, faults %q; of\n%s", k.Example, notes, doubts, faults, strings.Join(tried, "\n"))
		}
	}
}

// What nodisk plan says of command lines whose root is somewhere that nothing names,
// and of those that others have for other initramfs (R3, R4, R8, R11).
func TestVerdictOfRoots(t *testing.T) {
	const iqn = "iqn.2026-01.org.example:a"
	for line, want := range map[string]string{
		"ip=dhcp root=LABEL=x":                       "would boot, as far as can be told: the root (LABEL=x) is looked for on the node's own disks; no image was given",
		"root=UUID=a-b ip=dhcp":                      "would boot, as far as can be told: the root (UUID=a-b) is looked for on the node's own disks; no image was given",
		"root=/dev/sda1 BOOTIF=01-52-54-00-12-34-56": "would boot, as far as can be told: the root (/dev/sda1) is looked for on the node's own disks; no image was given",
		"root=/dev/sda1 bond=bond0:eth0":             "would boot, as far as can be told: the root (/dev/sda1) is looked for on the node's own disks; no image was given",
		"root=/dev/sda1 nfsaddrs=dhcp":               "would boot, as far as can be told: the root (/dev/sda1) is looked for on the node's own disks; no image was given",
		"root=LABEL=x":                               "would boot, as far as can be told: no image was given",
		"root=LABEL=x ip=off":                        "would boot, as far as can be told: no image was given",
		"root=LABEL=x ip=dhcp rd.neednet=1":          "would boot, as far as can be told: no image was given",
		"root=/dev/ram ip=dhcp":                      "would boot, as far as can be told: no image was given",
		"ip=dhcp root=LABEL=x iscsi_target_name=" + iqn + " iscsi_target_ip=10.0.0.1 iscsi_initiator=" + iqn: "would boot, as far as can be told: no image was given",
		"iscsi_auto root=LABEL=x":                                                       "would boot, as far as can be told: no image was given",
		"root=dhcp ip=10.0.0.5::10.0.0.1:24::eth0:none":                                 "would not boot: command line: ip=10.0.0.5::10.0.0.1:24::eth0:static: asks no server for a root path (DHCP option 17)",
		"root=/dev/nfs ip=10.0.0.5::10.0.0.1:24::eth0:off":                              "would not boot: command line: ip=10.0.0.5::10.0.0.1:24::eth0:static: asks no server for a root path",
		"root=nfs:10.0.0.1:/srv ip=eth0:static":                                         "would not boot: command line: ip=eth0:none: gives no interface an address, and the root (10.0.0.1:/srv by NFS 4.2, 4.1, 4.0, 3, read-only) is behind the network",
		"root=nfs:10.0.0.1:/srv ip=off":                                                 "would not boot: command line: ip=off: leaves the root",
		"root=nfs:/srv ip=10.0.0.5::10.0.0.1:24::eth0:off":                              "would not boot: command line: ip=10.0.0.5::10.0.0.1:24::eth0:static: names no server, and neither does the root (/srv)",
		"root=nfs:/srv ip=10.0.0.5:10.0.0.9:10.0.0.1:24::eth0:off":                      "would boot, as far as can be told: no image was given",
		"root=nfs:/srv ip=eth0:off ip=eth1:dhcp":                                        "would boot, as far as can be told: no image was given",
		"root=iscsi:::::" + iqn + " ip=10.0.0.5:::24::eth0:off":                         "would not boot: command line: ip=10.0.0.5:::24::eth0:static: names no server, and neither does a target",
		"root=iscsi:::::" + iqn + " ip=dhcp":                                            "would boot, as far as can be told: no image was given",
		"root=cifs://10.0.0.1/share ip=dhcp":                                            "would not boot: command line: root=cifs://10.0.0.1/share: asks for a CIFS share, which nodisk does not have",
		"root=/dev/sda1x ip=dhcp imgurl=http://10.0.0.1/a":                              "would boot, as far as can be told: the root (/dev/sda1x) is looked for on the node's own disks; no image was given",
		"imgurl=http://10.0.0.1:80//install/rootimg.cpio.gz XCAT=10.0.0.1:3001 NODE=n7": "would not boot: command line: imgurl=http://10.0.0.1:80//install/rootimg.cpio.gz: asks for a root from an image over HTTP, which is not built yet",
		"wwinit.uri=http://10.0.0.1:9873/provision root=wwinit":                         "would not boot: command line: root=wwinit: asks for a root from an image over HTTP, which is not built yet",
		"inst.repo=http://10.0.0.1/os inst.ks=http://10.0.0.1/ks ip=dhcp":               "would not boot: command line: inst.repo=http://10.0.0.1/os: asks for a root from an image over HTTP, which is not built yet",
		"coreos.live.rootfs_url=http://10.0.0.1/rootfs.img ignition.platform.id=metal":  "would not boot: command line: coreos.live.rootfs_url=http://10.0.0.1/rootfs.img: asks for a root from an image over HTTP, which is not built yet",
		"ip=dhcp": "would not boot: command line: root= is missing",
		"root=squash:http://10.0.0.1/squashfs ip=dhcp":                                                     "would not boot: command line: root=squash:http://10.0.0.1/squashfs: asks for a root from an image, which is not built yet",
		"root=/dev/nfs boot=nfs nfsroot=auto ip=dhcp":                                                      "would boot, as far as can be told: no image was given",
		"boot=casper netboot=nfs root=/dev/nfs nfsroot=10.0.0.1:/srv ip=dhcp":                              "would not boot: command line: boot=casper: asks for a live system",
		"root=bind:run/machines/root rd.systemd.pull=tar:root:http://a/b":                                  "would not boot: command line: root=bind:run/machines/root: asks for a directory that something else has filled",
		"ip=::::flying-marmot:BOOTIF ip6=off BOOTIF=01-52-54-00-12-34-56 netroot=iscsi:10.0.0.1::::" + iqn: "would boot, as far as can be told: no image was given",
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(line)})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Verdict(false); !strings.HasPrefix(got, want) || strings.HasPrefix(want, "would boot") && got != want || strings.Contains(got, "; write") {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
		if told := strings.Contains(strings.Join(r.Doubts, "\n"), "looked for on the node's own disks"); told != strings.Contains(want, "own disks") {
			t.Errorf("%s: warnings %q", line, r.Doubts)
		}
	}
}
