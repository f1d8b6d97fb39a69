package integration

import (
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The iSCSI Boot Firmware Table, as struct ibft_* of
// drivers/firmware/iscsi_ibft.c has it: everything packed and little-endian, and
// offsets from the beginning of the table.
const (
	ibftHeader    = 48 // that of ACPI (36 bytes), and 12 reserved
	ibftControl   = 18
	ibftInitiator = 74
	ibftNIC       = 102
)

// ibftInitiatorName is what the firmware of the tests calls the node.
const ibftInitiatorName = "iqn.2025-01.test.nodisk:firmware"

// ibftTable is a table with one initiator and one NIC, both valid and selected,
// without the header of ACPI, which QEMU writes.
func ibftTable(t *testing.T, client, gateway, mac string, vlan uint16, hostname string) []byte {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	block := func(b []byte, id byte, size int) []byte {
		const version, index, flags = 1, 0, 3
		return append(le.AppendUint16(append(b, id, version), uint16(size)), index, flags)
	}
	addr := func(b []byte, s string) []byte {
		var raw [16]byte
		if s != "" {
			raw = netip.MustParseAddr(s).As16() // IPv4 as ::ffff:10.0.0.1
		}
		return append(b, raw[:]...)
	}
	const (
		initiator = ibftHeader + ibftControl
		nic       = initiator + ibftInitiator
		text      = nic + ibftNIC
	)
	b := make([]byte, 12) // reserved
	b = block(b, 1, ibftControl)
	for _, offset := range []uint16{0, initiator, nic, 0, 0, 0} { // extensions, initiator, nic 0, target 0, nic 1, target 1
		b = le.AppendUint16(b, offset)
	}
	b = append(block(b, 2, ibftInitiator), make([]byte, 64)...) // servers of iSNS, SLP and RADIUS
	b = le.AppendUint16(b, uint16(len(ibftInitiatorName)))
	b = le.AppendUint16(b, text)
	b = addr(block(b, 3, ibftNIC), client)
	b = append(b, 24, 1) // prefix length; origin: by hand
	b = addr(b, gateway)
	for range 3 { // two name servers, the DHCP server
		b = addr(b, "")
	}
	b = append(le.AppendUint16(b, vlan), hw...)
	b = le.AppendUint16(b, 0) // PCI address
	b = le.AppendUint16(b, uint16(len(hostname)))
	b = le.AppendUint16(b, text+uint16(len(ibftInitiatorName))+1)
	b = append(b, ibftInitiatorName+"\x00"+hostname+"\x00"...)
	// The kernel takes only structures that begin 48 bytes before the end.
	return append(b, make([]byte, ibftHeader)...)
}

// An address that the firmware left in its iSCSI table is taken over: ip=ibft.
func TestBootIBFT(t *testing.T) {
	const words = "ip=ibft netroot=iscsi:{server}::3260:1:{target} root=LABEL={label} "
	table := func(hostname string) func(map[string]string) []byte {
		return func(values map[string]string) []byte {
			return ibftTable(t, values["client"], values["gateway"], values["mac"], 0, hostname)
		}
	}
	named := table("")
	cases := []struct {
		bootCase
		hostname string
	}{
		{
			bootCase: bootCase{
				name: "ibft", fs: "ext4", expect: []string{byHand + " static", `initiator name.*` + ibftInitiatorName + `.*iBFT`, mounted},
				spec: BootSpec{Cmdline: words + "nodisk.log=debug", IBFT: table("firmware7")},
			},
			hostname: "firmware7",
		},
		{
			bootCase: bootCase{
				name: "ibft-reverse-name", fs: "ext4", expect: []string{byHand + " static", mounted},
				spec: BootSpec{Cmdline: words + "nodisk.hostname=reverse nameserver={server}", IBFT: func(values map[string]string) []byte {
					servePTR(t, values["server"], "reverse8.lab.nodisk.test")
					return named(values)
				}},
			},
			hostname: "reverse8",
		},
		{
			bootCase: bootCase{
				name: "no-ibft", fails: true, why: `nodisk: .*ip=ibft: the firmware left no iBFT`,
				spec: BootSpec{Cmdline: words + "nodisk.onfail=poweroff nodisk.deadline=60s"},
			},
		},
	}
	for i := range cases {
		s := &cases[i].spec
		s.Name, s.Root, s.Static, s.CPUs, s.Timeout = cases[i].name, RootISCSI, true, 2, 4*time.Minute
		needs(t, *s)
	}
	kernel, image := filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, "virt,iscsi,ext4,ibft")
	lab := newLab(t)
	places := make(chan struct{}, nodesAtOnce())
	// One more level, so that the lab outlives the parallel tests.
	t.Run("node", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				places <- struct{}{}
				defer func() { <-places }()
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
	})
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
