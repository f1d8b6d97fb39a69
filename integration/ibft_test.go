package integration

import (
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/ibft/ibfttest"
)

// ibftInitiatorName is what the firmware of the tests calls the node.
const ibftInitiatorName = "iqn.2025-01.test.nodisk:firmware"

// ibftTable is what a firmware leaves that boots this node from the lab's target:
// its address, set by hand, and the target on two portals, of which the first is
// dead. It is without the header of ACPI, which QEMU writes.
func ibftTable(t *testing.T, values map[string]string, hostname string) []byte {
	t.Helper()
	mac, err := net.ParseMAC(values["mac"])
	if err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddr(values["server"])
	const lun1 = 1 << 48
	return ibfttest.Write(ibft.Table{
		Initiator: ibftInitiatorName,
		NICs: []ibft.NIC{{
			Selected: true, MAC: [6]byte(mac), Addr: netip.MustParseAddr(values["client"]), Bits: 24,
			Gateway: netip.MustParseAddr(values["gateway"]), Hostname: hostname,
		}},
		Targets: []ibft.Target{
			{Selected: true, Addr: server, Port: 9, LUN: lun1, Name: values["target"]},
			{Index: 1, Addr: server, LUN: lun1, Name: values["target"]},
		},
	})[ibfttest.HeaderLen:]
}

// What the firmware left in its iSCSI table is taken over: its address by ip=ibft,
// and with root=ibft its target, too. The table is one of ACPI, and the image has
// no module for it.
func TestBootIBFT(t *testing.T) {
	t.Parallel()
	const words = "ip=ibft netroot=iscsi:{server}::3260:1:{target} root=LABEL={label} "
	table := func(hostname string) func(map[string]string) []byte {
		return func(values map[string]string) []byte {
			return ibftTable(t, values, hostname)
		}
	}
	named := table("")
	cases := []struct {
		bootCase
		hostname string
	}{
		{
			bootCase: bootCase{
				name: "ibft", fs: "ext4", expect: []string{byHand + " static", `initiator name.*` + ibftInitiatorName +
					`.*iBFT`, mounted},
				spec: lab.BootSpec{Cmdline: "root=ibft nodisk.log=debug", IBFT: table("firmware7")},
			},
			hostname: "firmware7",
		},
		{
			bootCase: bootCase{
				name: "ibft-reverse-name", fs: "ext4", expect: []string{byHand + " static", mounted},
				spec: lab.BootSpec{
					Cmdline: words + "nodisk.hostname=reverse nameserver={server}",
					IBFT: func(values map[string]string) []byte {
						servePTR(t, values["server"], "reverse8.lab.nodisk.test")
						return named(values)
					},
				},
			},
			hostname: "reverse8",
		},
		{
			bootCase: bootCase{
				name: "no-ibft", fails: true, why: `nodisk: .*ip=ibft: the firmware left no iBFT`,
				spec: lab.BootSpec{Cmdline: words + "nodisk.onfail=poweroff nodisk.deadline=60s"},
			},
		},
	}
	for i := range cases {
		s := &cases[i].spec
		s.Name, s.Root, s.Static, s.Timeout = cases[i].name, lab.RootISCSI, true, 4*time.Minute
		needs(t, *s)
	}
	kernel, image := filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, "virt,iscsi,ext4")
	lab := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, busy)
			c.spec.Kernel, c.spec.Image = kernel, image
			res, err := lab.Boot(t.Context(), c.spec)
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, res)
			if c.hostname != "" && res.Root.Hostname != c.hostname {
				t.Errorf("the node is called %q, want %q", res.Root.Hostname, c.hostname)
			}
		})
	}
}

// servePTR answers every question to the DNS port of an address with one name,
// until the test ends.
func servePTR(t *testing.T, server, name string) {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", net.JoinHostPort(server, "53"))
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			const header = 12 // RFC 1035 section 4.1.1
			end := header
			for end < n && query[end] != 0 {
				end += 1 + int(query[end])
			}
			if end += 5; end > n { // the root label, type and class
				continue
			}
			answer := append([]byte{query[0], query[1], 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, query[header:end]...)
			answer = append(answer, 0xc0, header, 0, 12, 0, 1, 0, 0, 0, 60) // PTR, IN, 60 s
			var data []byte
			for label := range strings.SplitSeq(name, ".") {
				data = append(append(data, byte(len(label))), label...)
			}
			data = append(data, 0)
			answer = append(binary.BigEndian.AppendUint16(answer, uint16(len(data))), data...)
			_, _ = conn.WriteTo(answer, from)
		}
	}()
}
