package pxe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// Which loader each kind of firmware is offered by the servers themselves, with
// the files as they are written.
func TestLoadersOffered(t *testing.T) {
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	tree := parsed(t, `
defaults:
  server: 10.9.0.9
  interface: srv
  image: node.img
  loader: { bios: pxelinux.0, uefi: grub/x64.efi, arm64: grub/arm64.efi, ipxe: boot.ipxe }
subnets: [{ cidr: 10.9.0.0/24, range: 10.9.0.100-10.9.0.199 }]
`, dir)
	if _, err := Write(t.Context(), dir, tree.Files, false, nil); err != nil {
		t.Fatal(err)
	}
	veth(t)
	const pxe = "PXEClient:Arch:00000:UNDI:002001"
	clients := []struct {
		name, class string
		arch        byte
		ipxe        bool
	}{
		{name: "BIOS", class: pxe},
		{name: "UEFI", class: pxe, arch: 7},
		{name: "UEFI 9", class: pxe, arch: 9},
		{name: "arm64", class: pxe, arch: 11},
		{name: "iPXE", class: pxe, ipxe: true},
		{name: "a system", class: "nodisk"},
	}
	want := map[string]string{
		"BIOS": "10.9.0.9 pxelinux.0", "UEFI": "10.9.0.9 grub/x64.efi", "UEFI 9": "10.9.0.9 grub/x64.efi",
		"arm64": "10.9.0.9 grub/arm64.efi",
		"iPXE":  "10.9.0.9 boot.ipxe", "a system": "10.9.0.9 ",
	}
	for name, start := range servers(t, dir) {
		t.Run(name, func(t *testing.T) {
			log, stop := start(t)
			got := map[string]string{}
			for i, c := range clients {
				got[c.name] = offered(t, byte(i), c.class, c.arch, c.ipxe)
			}
			stop()
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log.Bytes())
			}
		})
	}
}

// servers are the three, which serve what is written in a directory at the interface srv.
// One that was started ends with stop, after which its log may be read.
func servers(t *testing.T, dir string) map[string]func(t *testing.T) (log *bytes.Buffer, stop func()) {
	t.Helper()
	dnsmasq, dhcpd, kea := tool(t, "dnsmasq", "dnsmasq-base"), tool(t, "dhcpd", "isc-dhcp-server"), tool(t, "kea-dhcp4",
		"kea-dhcp4-server")
	leases := filepath.Join(dir, "leases")
	if err := os.WriteFile(leases, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEA_LOCKFILE_DIR", dir)
	t.Setenv("KEA_PIDFILE_DIR", dir)
	// What the files leave to the administrator: where leases are, and no wait for
	// pings.
	own := filepath.Join(dir, "own.conf")
	conf, err := os.ReadFile(filepath.Join(dir, keaConf))
	if err == nil {
		conf = bytes.Replace(conf, []byte(`"subnet4"`),
			[]byte(`"lease-database": { "type": "memfile", "persist": false }, "subnet4"`), 1)
		err = os.WriteFile(own+".kea", conf, 0o600)
	}
	if err == nil {
		err = os.WriteFile(own, []byte("ping-check false;\ninclude \""+filepath.Join(dir, dhcpdConf)+"\";\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]func(t *testing.T) (*bytes.Buffer, func()){}
	for name, command := range map[string][]string{
		"dnsmasq": {dnsmasq, "-d", "--port=0", "--no-ping", "--log-dhcp", "--user=root",
			"--conf-file=" + filepath.Join(dir, dnsmasqConf), "--dhcp-leasefile=" + leases + ".dnsmasq", "--pid-file="},
		"dhcpd": {dhcpd, "-4", "-f", "-d", "-cf", own, "-lf", leases, "-pf", leases + ".pid", "--no-pid", "srv"},
		"kea":   {kea, "-c", own + ".kea"},
	} {
		all[name] = func(t *testing.T) (*bytes.Buffer, func()) {
			t.Helper()
			log := &bytes.Buffer{}
			ctx, cancel := context.WithCancel(t.Context())
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return log, func() {
				cancel()
				_ = cmd.Wait() // it was killed
			}
		}
	}
	return all
}

// offered is the boot server and the file that a client is offered. The server
// may still be starting: it is asked until it answers. Both are in one
// namespace, where the kernel takes no datagram of its own address: frames it is.
func offered(t *testing.T, number byte, class string, arch byte, ipxe bool) string {
	t.Helper()
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 9, number}
	discover, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(class)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, arch})))
	if err != nil {
		t.Fatal(err)
	}
	if ipxe {
		discover.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(175), []byte{0xb1, 1, 1}))
	}
	offer := offers(t, discover)[discover.TransactionID]
	if offer == nil {
		return "nothing in 10 s"
	}
	return offer.ServerIPAddr.String() + " " + cmp.Or(offer.BootFileName, offer.BootFileNameOption())
}

// offers sends DISCOVERs, and returns the offers by transaction. The server may still be
// starting: they are sent until there is an answer, for 10 s, and once more then, for
// those that have none.
func offers(t *testing.T, discovers ...*dhcpv4.DHCPv4) map[dhcpv4.TransactionID]*dhcpv4.DHCPv4 {
	t.Helper()
	i, err := net.InterfaceByName("cli")
	if err != nil {
		t.Fatal(err)
	}
	ip := uint16(unix.ETH_P_IP)
	order := ip<<8 | ip>>8 // packet(7): in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(order))
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: i.Index})
	}
	if err == nil {
		wait := unix.NsecToTimeval(int64(time.Second))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is read any longer
	to := &unix.SockaddrLinklayer{Protocol: order, Ifindex: i.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff,
		0xff, 0xff}}
	b := make([]byte, 2048)
	all := map[dhcpv4.TransactionID]*dhcpv4.DHCPv4{}
	last := false
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && !last; {
		last = len(all) > 0
		for _, m := range discovers {
			if all[m.TransactionID] != nil {
				continue
			}
			if err := unix.Sendto(fd, datagram(m.ToBytes()), 0, to); err != nil {
				t.Fatal(err)
			}
		}
		for len(all) < len(discovers) {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err != nil { // nothing for a second
				break
			}
			offer, err := dhcpv4.FromBytes(b[min(28, n):n])
			if err == nil && offer.OpCode == dhcpv4.OpcodeBootReply && offer.MessageType() == dhcpv4.MessageTypeOffer {
				all[offer.TransactionID] = offer
			}
		}
		last = last || len(all) == len(discovers)
	}
	return all
}

// datagram is an IPv4 packet from a client's port to a server's, to all.
func datagram(payload []byte) []byte {
	length := binary.BigEndian.AppendUint16
	b := []byte{0x45, 0}
	b = append(length(b, uint16(28+len(payload))), 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16)) // RFC 1071
	b = length(append(b, 0, 68, 0, 67), uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...) // without UDP checksum, RFC 768
}

// veth makes a cable from srv, with an address, to cli.
func veth(t *testing.T) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "srv"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "cli"}); err != nil {
		testenv.Needs(t, false, "veth: "+err.Error())
	}
	for _, name := range []string{"srv", "cli", "lo"} {
		l, err := netlink.LinkByName(name)
		if err == nil && name == "srv" {
			err = netlink.AddrAdd(l,
				&netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 9, 0, 1), Mask: net.CIDRMask(24, 32)}})
		}
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
