package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/fabric"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// What /init writes on an IPoIB interface.
const (
	ibByDHCP = `nodisk: network \(3/\d\): ib0 10\.77\.\d+\.\d+/24 by DHCP from 10\.77\.\d+\.1`
	ibByHand = `nodisk: network \(3/\d\): ib0 10\.77\.\d+\.\d+/24`
)

// byGUID is the reservation that most cases use.
const byGUID = "id:20:{guid}"

// partition is the P_Key of the server's first child interface; the second one's, which
// is the next, has its DHCP from a server behind a relay.
const (
	partition = 0x8001
	relayed   = 2
)

// An ibCase is one boot over InfiniBand and what is to be seen of it.
type ibCase struct {
	bootCase
	boot fabric.Boot
	// discovers is how many DHCPDISCOVER the server is to get; 0 means any
	// number.
	discovers int
	also      []string // each matches a line of the console, wherever it is
	root      []string // each matches a line of the root's /sbin/init
	never     []string // these match no line of the console
	once      []string // each matches one line of the console, and no more
	// renews tells that the node is to prolong its lease before its root is there.
	renews bool
}

// identityCases are the forms of the client identifier, each with a reservation
// that knows the node by that form.
func identityCases() []ibCase {
	var cases []ibCase
	for _, form := range []struct{ name, word, reserve string }{
		{"flexboot", "flexboot", "id:ff:00:00:00:00:00:02:00:00:02:c9:00:{guid}"},
		{"guid", "guid", byGUID},
		{"hwaddr", "hwaddr", "id:20:80:00:00:48:fe:80:00:00:00:00:00:00:{guid}"},
		{"mac", "mac", "id:01:{guidmac}"},
		{"rfc4361", "rfc4361", "id:ff:{iaid}:00:03:00:20:{guid}"},
		// Known by the address in the header. dnsmasq has no rule for "no
		// identifier": it would know the form mac by this, too.
		{"none", "none", "{guidmac}"},
		{"hex", "hex:6e:6f:64:{guid}", "id:6e:6f:64:{guid}"},
	} {
		cases = append(cases, ibCase{
			bootCase: bootCase{name: "clientid-" + form.name, fs: "ext4", expect: []string{ibByDHCP, mounted}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: "nodisk.dhcp.clientid=" + form.word},
				Reserve:  form.reserve,
			},
		})
	}
	return cases
}

// TestBootInfiniband boots nodes with one processor, which takes the machine a
// fifth less time, and where several things happen at once with two.
func TestBootInfiniband(t *testing.T) {
	asks := takesAll(t)
	t.Parallel()
	const giveUp = "nodisk.onfail=poweroff nodisk.deadline=8s"
	cases := []ibCase{
		{
			bootCase: bootCase{name: "pxe-dhcp-iscsi", fs: "ext4", expect: []string{
				`iPXE`, `PXELINUX`,
				ibByDHCP, mounted,
			}},
			boot: fabric.Boot{BootSpec: lab.BootSpec{PXE: true, Root: lab.RootISCSI}, Reserve: byGUID},
		},
	}
	cases = append(cases, identityCases()...)
	cases = append(cases, []ibCase{
		{
			// All forms are asked with, and the server knows one.
			bootCase: bootCase{
				name: "auto", fs: "ext4",
				expect: []string{
					`nodisk: ib0: the DHCP server knows client-id guid 20:02:50:49:03:00:77:`,
					ibByDHCP, mounted,
				},
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{CPUs: 2, Root: lab.RootISCSI}, Reserve: byGUID},
		},
		{
			// The cables' own NICs are candidates as well, and nobody answers there.
			// They must not be set down: the fabric is on them. Of the adapter's two
			// ports the second is chosen, whose GUID is not its node's, and the first is left
			// alone.
			bootCase: bootCase{name: "ip-dhcp", fs: "ext4", expect: []string{
				`nodisk: network \(3/\d\): ib1 10\.77\.\d+\.\d+/24 by DHCP from 10\.77\.\d+\.1`, mounted,
			}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{
					CPUs: 2, Root: lab.RootISCSI,
					Cmdline: "ip=dhcp nodisk.ib.port=softib0:2 rd.neednet=1 root=dhcp " + lab.LinksWord,
				},
				Reserve: "id:20:00:02:c9:03:00:77:ff:01", TwoPorts: true,
				HCA: []string{"ports=2", "portguid=,0x0002c9030077ff01"},
			},
			root: []string{
				`^link ib0 flags=0x\w*[02468ace] .* dev_port=0 `, `^link ib1 flags=0x\w*[13579bdf] .* dev_port=1 `,
			},
			never: []string{`nodisk: .*\bib0\b`},
		},
		{
			bootCase: bootCase{name: "nfs3", fs: "nfs", expect: []string{ibByDHCP, mounted}},
			boot:     fabric.Boot{BootSpec: lab.BootSpec{Root: lab.RootNFS3}, Reserve: byGUID},
		},
		{
			// Nobody answers on the cable's own NIC, which is waited for: meanwhile the
			// lease is prolonged, 3 s after it was given (dnsmasq takes no less).
			bootCase: bootCase{name: "nfs4-renewed", fs: "nfs4", expect: []string{ibByDHCP, mounted}},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				CPUs: 2, Root: lab.RootNFS4,
				Cmdline: "ip=ib*:dhcp ip=driver=virtio_net:dhcp bootdev=ib* rd.net.timeout.dhcp=9 root=dhcp",
			}, Reserve: byGUID, Options: []string{"option:T1,3"}},
			renews: true,
		},
		{
			// One of 61 packets of the node's is lost: the HCAs send again, and the file is whole.
			bootCase: bootCase{name: "nfs4-rdma", fs: "nfs4", expect: []string{
				ibByDHCP, mounted, `nodisk-root: root nfs4 .*,proto=rdma,port=20049,`,
				`nodisk-root: bulk 4 MiB, written in [\d.]+ s, read in`,
			}},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				CPUs: 2, Root: lab.RootNFS4,
				Cmdline: "ip=ib0:dhcp root=nfs4:{server}:{export}:proto=rdma rw softib.lose=61 " + lab.BulkWord + "=4",
			}, Reserve: byGUID, RDMA: true},
		},
		{
			bootCase: bootCase{name: "nfs3-rdma", fs: "nfs", expect: []string{
				ibByHand, mounted,
				`nodisk-root: root nfs .*,proto=rdma,port=20049,`,
			}},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root: lab.RootNFS3, Static: true,
				Cmdline: "ip={client}:{server}:{gateway}:{mask}:{name}:ib0:none root=/dev/nfs " +
					"nfsroot={server}:{export},rdma",
			}, RDMA: true},
		},
		{
			bootCase: bootCase{
				name: "no-rdma", long: true, fails: true,
				why: `10\.77\.\d+\.1 serves no NFS over RDMA at port 20050: check that its nfsd listens there`,
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root: lab.RootNFS3, Static: true,
				Cmdline: "ip={client}:{server}:{gateway}:{mask}:{name}:ib0:none " +
					"root=nfs:{server}:{export}:vers=3,rdma,port=20050",
				Append: "nodisk.onfail=poweroff nodisk.deadline=30s",
			}, RDMA: true},
		},
		{
			bootCase: bootCase{name: "static-iscsi", fs: "ext4", expect: []string{ibByHand, mounted}},
			boot:     fabric.Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI, Static: true}},
		},
		{
			// What pxelinux appends for IPAPPEND 3: the firmware's lease.
			bootCase: bootCase{name: "ipappend-iscsi", fs: "ext4", expect: []string{ibByHand + " static", mounted}},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root: lab.RootISCSI, Static: true,
				Cmdline: "ip={client}:{server}:{gateway}:{mask} BOOTIF=20-{guid} root=iscsi::::1:{target}",
			}},
		},
		{
			bootCase: bootCase{
				name: "pkey", fs: "ext4",
				expect: []string{`nodisk: network \(3/\d\): ib0\.8001 10\.78\.\d+\.\d+/24 by DHCP`, mounted},
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{CPUs: 2, Root: lab.RootISCSI}, Partition: 1, Reserve: byGUID},
		},
		{
			// The reservation that xCAT writes, in ISC dhcpd behind a relay. All forms
			// are asked with, and it knows one of them.
			bootCase: bootCase{name: "hardware-infiniband", fs: "ext4", expect: []string{
				`nodisk: ib0\.8002: the DHCP server knows client-id infiniband 20:02:50:49:03:00:77:`,
				`nodisk: network \(3/\d\): ib0\.8002 10\.79\.\d+\.\d+/24 by DHCP from 10\.64\.\d+\.2`, mounted,
			}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootISCSI}, Partition: relayed,
				Reserve: "hardware infiniband {guid}",
			},
		},
		{
			bootCase: bootCase{
				name: "bond", fs: "ext4",
				expect: []string{`nodisk: network \(3/\d\): bond0 10\.77\.\d+\.\d+/24 by DHCP`, mounted},
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root:    lab.RootISCSI,
				CPUs:    2,
				Cmdline: "bond=bond0:ib0:mode=active-backup ip=bond0:dhcp root=dhcp",
			}, Reserve: byGUID},
		},
		{
			// Both links fail in turn while the root reads and writes its disk.
			bootCase: bootCase{
				name: "bond-failover", fs: "ext4",
				expect: []string{`nodisk: network \(3/\d\): bond0 10\.77\.\d+\.\d+/24 by DHCP`, mounted, failedOver},
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root: lab.RootISCSI,
				CPUs: 2,
				Cmdline: "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid root=dhcp rw " +
					lab.IOWord + "=2",
			}, Reserve: byGUID, TwoPorts: true, Script: failover()},
		},
		{
			// The bond's first port has no link: it goes by the second, and is
			// known by the first all the same.
			bootCase: bootCase{
				name: "bond-dead-port", fs: "ext4",
				expect: []string{`nodisk: network \(3/\d\): bond0 10\.77\.\d+\.\d+/24 by DHCP`, mounted},
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{
				Root:    lab.RootISCSI,
				CPUs:    2,
				Cmdline: "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid root=dhcp",
			}, Reserve: "id:20:{deadguid}", DeadPort: true},
		},
		{
			bootCase: bootCase{
				name: "no-dhcp", long: true, fails: true,
				why: `nodisk: .*(?i)(DHCP).*ib0|ib0.*(?i)DHCP`,
			},
			boot: fabric.Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: giveUp}},
		},
		{
			bootCase: bootCase{
				name: "no-pkey", long: true, fails: true,
				why: `nodisk: .*P_Key 0x8001 is not in the table of port 1 of \w+`,
			},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: giveUp}, Partition: 1, Keyless: true,
				Reserve: byGUID,
			},
		},
		{
			bootCase: bootCase{
				name: "late-cable", long: true, fs: "ext4",
				expect: []string{`nodisk: .*port 1 of \w+ has no link`, ibByDHCP, mounted},
			},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootISCSI}, Reserve: byGUID,
				Unplugged: true, Script: []lab.Act{{On: `nodisk: .*port 1 of \w+ has no link`, Plug: []int{0}}},
			},
		},
	}...)
	cases = append(cases, unkindCases()...)

	f := newFabric(t, fabric.Spec{PKeys: []uint16{partition, partition + 1}, Relayed: relayed, RDMA: true})
	kernel, image := ibImage(t)

	// Nodes that have the machine for themselves: the time of one is the network's, and
	// three run at once whatever there is room for.
	asks()
	give := takePlace(t, all())
	t.Run("timeline", func(t *testing.T) {
		c := ibCase{
			bootCase: bootCase{name: "timeline", fs: "ext4", expect: []string{ibByDHCP, mounted}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: "nodisk.dhcp.clientid=guid"},
				Reserve:  byGUID,
			},
			discovers: 1,
		}
		if res, ok := c.run(t, f, kernel, image); ok {
			t.Logf("%v from ib0's carrier to its address, %d DHCPDISCOVER", fromCarrier(t, res), res.Discovers())
		}
	})
	t.Run("three-at-once", func(t *testing.T) {
		var wg sync.WaitGroup
		for name, known := range map[string]struct{ form, reserve string }{
			"one": {"guid", byGUID}, "three": {"guid", byGUID},
			// By the header, as a Red Hat or Mellanox dhclient is: dnsmasq's way to say
			// so is the hardware type, in hexadecimal, before the address.
			"two": {"infiniband", "20-{guid}"},
		} {
			wg.Go(func() {
				c := ibCase{
					bootCase: bootCase{name: "together-" + name, fs: "ext4", expect: []string{
						`nodisk: ib0: the DHCP server knows client-id ` + known.form + ` 20:02:50:49:03:00:77:`,
						ibByDHCP, mounted,
					}},
					boot: fabric.Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI}, Reserve: known.reserve},
				}
				c.run(t, f, kernel, image)
			})
		}
		wg.Wait()
	})
	give()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, c.weight())
			c.run(t, f, kernel, image)
		})
	}
}

// fromCarrier is the guest time from the kernel's line about the carrier of ib0
// (addrconf_notify of net/ipv6/addrconf.c) to /init's about its address.
func fromCarrier(t *testing.T, res fabric.Result) time.Duration {
	t.Helper()
	var carrier, address time.Duration
	for text := range strings.SplitSeq(res.Console, "\n") {
		switch l := transcript.ParseLine(text); {
		case strings.Contains(l.Text, "ib0: link becomes ready"):
			carrier = l.Stamp
		case strings.Contains(l.Text, "nodisk: network ("):
			address = l.Stamp
		}
	}
	if carrier == 0 || address < carrier {
		t.Errorf("the console has no carrier of ib0 (%v) before its address (%v)", carrier, address)
	}
	return (address - carrier).Round(time.Millisecond)
}

// run boots the node and checks what came of it. It reports false when the lab
// could not even try.
func (c ibCase) run(t *testing.T, fabric *fabric.Fabric, kernel, image string) (fabric.Result, bool) {
	t.Helper()
	b := c.boot
	b.Name, b.Kernel, b.Image = c.name, kernel, image
	b.Timeout = 4 * time.Minute
	b.Log = testLogFile(c.name)
	var seen *renewals
	if c.renews {
		seen = watchRenewals(t, fabric.Bridge())
	}
	res, err := fabric.Boot(t.Context(), b)
	if err != nil {
		t.Error(err)
		return res, false
	}
	c.spec = b.BootSpec
	c.check(t, res.BootResult)
	if res.Reached && res.Root.Address != res.Address+"/24" {
		t.Errorf("the root has the address %s, want %s/24", res.Root.Address, res.Address)
	}
	if seen != nil {
		seen.check(t, res.Address)
	}
	c.checkLines(t, res.BootResult)
	if c.discovers > 0 && res.Discovers() != c.discovers {
		t.Errorf("the server got %d DHCPDISCOVER, want %d:\n%s", res.Discovers(), c.discovers,
			strings.Join(res.Server, "\n"))
	}
	return res, true
}

// newFabric starts a fabric for a test.
func newFabric(t *testing.T, s fabric.Spec) *fabric.Fabric {
	t.Helper()
	needs(t, lab.BootSpec{Root: lab.RootNone, Static: true})
	for _, err := range fabric.Missing() {
		testenv.Missing(t, err.Error())
	}
	s.KernelDir, s.HCA = kernelDir(t), softib(t)
	// Its port can carry more than its group does, as most can.
	s.HCAParams = []string{"maxmtu=4096"}
	s.Log = testLogFile(t.Name() + "-server")
	give := takePlace(t, busy)
	fabric, err := fabric.New(t.Context(), sharedLab(t), s)
	give()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fabric.Close(); err != nil {
			t.Error(err)
		}
	})
	return fabric
}

// softib is the software HCA.
func softib(t *testing.T) string {
	t.Helper()
	path := os.Getenv("NODISK_SOFTIB")
	if path == "" {
		path = "../.cache/softib/softib.ko"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		testenv.Missing(t, "no software HCA: run make softib, or set NODISK_SOFTIB")
	}
	return path
}

// ibImage makes the image of all these tests.
func ibImage(t *testing.T) (kernel, image string) {
	t.Helper()
	// A folder with nothing else in it, of a name for /lib/modules.
	dir := filepath.Join(t.TempDir(), "softib")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyTo(softib(t), filepath.Join(dir, "softib.ko"), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, "virt,ib,bond,iscsi,ext4,nfs,rdma", "--module-dir",
		dir)
}

// testLogFile is where a console of that name is kept, empty for nowhere.
func testLogFile(name string) string {
	dir := os.Getenv("NODISK_TEST_LOGS")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".log")
}
