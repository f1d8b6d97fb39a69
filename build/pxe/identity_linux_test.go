package pxe

import (
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/netsetup/link"
)

// An ibClient is how a program presents an InfiniBand port: docs/infiniband.md has who
// they are. $G stands for the GUID, $M for the six bytes, $I for the last four.
type ibClient struct {
	name   string
	htype  iana.HWType
	chaddr string
	id     string // option 61, empty for none
}

func ibClients() []ibClient {
	const ib, ether = iana.HWTypeInfiniband, iana.HWTypeEthernet
	return []ibClient{
		{"FlexBoot", ib, "", "ff000000000002000002c900$G"},
		{"networkd mac", ib, "", "20$G"},
		{"dhclient, patched", ib, "$G", "20$G"},
		{"dhclient, without id", ib, "$G", ""},
		{"gPXE", ib, "$G", "2080000048fe80000000000000$G"},
		{"iPXE", ether, "$M", "01$M"},
		{"UEFI", ether, "$M", ""},
		{"DUID-LL", ib, "", "ff$I00030020$G"},
	}
}

// message is the DISCOVER that it sends for a port.
func (c ibClient) message(t *testing.T, guid link.HardwareAddr, number byte) *dhcpv4.DHCPv4 {
	t.Helper()
	g := fmt.Sprintf("%x", string(guid))
	bytesOf := func(text string) []byte {
		b, err := hex.DecodeString(strings.NewReplacer("$G", g, "$M", g[:6]+g[10:], "$I", g[8:]).Replace(text))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithBroadcast(true),
		dhcpv4.WithHwAddr(net.HardwareAddr(bytesOf(c.chaddr))))
	if err != nil {
		t.Fatal(err)
	}
	m.HWType = c.htype
	m.TransactionID = dhcpv4.TransactionID{0x20, 0, 0, number}
	if c.id != "" {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, bytesOf(c.id)))
	}
	return m
}

// Which clients the servers know a node as, with the files as they are written for each
// form: by the address that they are offered. There is no pool: who is not known gets
// no answer.
func TestInfiniBandOffered(t *testing.T) {
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	forms := []string{"infiniband", "guid", "flexboot", "mac", "none", "auto"}
	text := "defaults: { interface: srv, image: node.img }\nsubnets: [{ cidr: 10.9.0.0/24 }]\nnodes:\n"
	for i, form := range forms {
		text += fmt.Sprintf("  - { name: %s, guid: 0x2c9030000105%x, ip: 10.9.0.%d, client-id: %s }\n",
			form, i, 50+i, form)
	}
	if _, err := Write(t.Context(), dir, parsed(t, text, dir).Files, false, nil); err != nil {
		t.Fatal(err)
	}
	veth(t)
	known := func(auto string) map[string]string {
		return map[string]string{
			"infiniband": "networkd mac, dhclient, patched, dhclient, without id, gPXE, iPXE, UEFI",
			"guid":       "networkd mac, dhclient, patched, iPXE, UEFI",
			"flexboot":   "FlexBoot, iPXE, UEFI",
			"mac":        "iPXE, UEFI",
			"none":       "iPXE, UEFI",
			"auto":       auto,
		}
	}
	const all = "FlexBoot, networkd mac, dhclient, patched, dhclient, without id, gPXE, iPXE, UEFI, DUID-LL"
	want := map[string]map[string]string{
		"dhcpd": known(all), "kea": known(all),
		// It takes one identifier for an address, and any number of headers.
		"dnsmasq": known("FlexBoot, dhclient, patched, dhclient, without id, gPXE, iPXE, UEFI"),
	}
	for name, start := range servers(t, dir) {
		t.Run(name, func(t *testing.T) {
			log, stop := start(t)
			got := map[string]string{}
			var discovers []*dhcpv4.DHCPv4
			for i := range forms {
				for _, c := range ibClients() {
					guid := link.HardwareAddr([]byte{0, 2, 0xc9, 3, 0, 0, 0x10, 0x50 + byte(i)})
					discovers = append(discovers, c.message(t, guid, byte(len(discovers))))
				}
			}
			answers := offers(t, discovers...)
			for i, form := range forms {
				address := net.IPv4(10, 9, 0, byte(50+i))
				var names []string
				for j, c := range ibClients() {
					offer := answers[discovers[i*len(ibClients())+j].TransactionID]
					switch {
					case offer == nil:
					case !offer.YourIPAddr.Equal(address):
						t.Errorf("%s as %s is offered %v", form, c.name, offer.YourIPAddr)
					default:
						names = append(names, c.name)
					}
				}
				got[form] = strings.Join(names, ", ")
			}
			stop()
			if diff := gocmp.Diff(want[name], got); diff != "" {
				t.Errorf("known as (-want +got):\n%s", diff)
				t.Logf("the log ends so: %s", tail(log.String(), 3000))
			}
		})
	}
}

// To dnsmasq guid and infiniband are one client: in a pool they cost one address, and
// one search for it.
func TestInfiniBandPool(t *testing.T) {
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	text := "defaults: { interface: srv, image: node.img }\nsubnets: [{ cidr: 10.9.0.0/24, range: " +
		"10.9.0.100-10.9.0.199 }]\n"
	if _, err := Write(t.Context(), dir, parsed(t, text, dir).Files, false, nil); err != nil {
		t.Fatal(err)
	}
	veth(t)
	log, stop := servers(t, dir)["dnsmasq"](t)
	var discovers []*dhcpv4.DHCPv4
	for i, c := range ibClients() {
		discovers = append(discovers, c.message(t, "\x00\x02\xc9\x03\x00\x00\x10\x39", byte(i)))
	}
	answers := offers(t, discovers...)
	stop()
	address := map[string]string{}
	for i, c := range ibClients() {
		if offer := answers[discovers[i].TransactionID]; offer != nil {
			address[c.name] = offer.YourIPAddr.String()
		}
	}
	if address["networkd mac"] == "" || address["networkd mac"] != address["dhclient, patched"] {
		t.Errorf("guid and infiniband are offered different addresses: %v\n%s", address, tail(log.String(), 3000))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
