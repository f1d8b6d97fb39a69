package lease

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// A ClientID says what DHCP option 61 holds, as a value of nodisk.dhcp.clientid=. Empty is
// "auto".
//
//	value       InfiniBand                          Ethernet
//	auto        all below that name the port        mac
//	flexboot    GUID.FlexBoot                       mac
//	guid        32 and the GUID                     mac
//	infiniband  the same, and the GUID as address   mac
//	hwaddr      32 and the 20 bytes of the address  mac
//	mac         1 and GUID.MAC                      1 and the address
//	rfc4361     GUID.RFC4361                        255, IAID, DUID-LL
//	none        no option 61, GUID.MAC as address   no option 61
//	hex:...     these bytes                         these bytes
type ClientID string

// ParseClientID reads a value of nodisk.dhcp.clientid=. The error says what to write.
func ParseClientID(s string) (ClientID, error) {
	if id := ClientID(s); s == "auto" || s == "none" || slices.Contains(AutoForms(), id) {
		return id, nil
	}
	digits, ok := strings.CutPrefix(s, "hex:")
	b := SeparatedBytes(digits, ":")
	// RFC 2132 section 9.14: the minimum length is 2.
	if !ok || len(b) < 2 || len(b) > 254 {
		var words []string
		for _, f := range AutoForms() {
			words = append(words, string(f))
		}
		return "", errors.New("write auto, " + strings.Join(words, ", ") + ", none or hex: and 2 to 254 bytes")
	}
	return ClientID("hex:" + hex.EncodeToString(b)), nil
}

// SeparatedBytes reads hexadecimal digits, either all together or in groups of two with
// one of the separators between them. It is nil if they are neither: 1:02:3 is not 10:23.
func SeparatedBytes(s, separators string) []byte {
	if groups := (len(s) + 1) / 3; strings.ContainsAny(s, separators) {
		for i := range groups - 1 {
			if !strings.ContainsRune(separators, rune(s[3*i+2])) {
				return nil
			}
		}
		fields := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) })
		if len(fields) != groups || len(s) != 3*groups-1 {
			return nil
		}
		s = strings.Join(fields, "")
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// An Identity is one way to tell a DHCP server which client this is: the
// hardware type and address of the header, and option 61.
type Identity struct {
	form   string // the value of nodisk.dhcp.clientid=
	hwType uint8
	chaddr link.HardwareAddr
	id     []byte // nil for none
}

// String writes "guid 20:00:02:c9:...".
func (d Identity) String() string {
	if d.id == nil {
		return d.form
	}
	return d.form + " " + link.HardwareAddr(d.id).String()
}

// AutoForms are the forms that "auto" asks with on InfiniBand, in this order. The firmware's come
// first: what booted the node has its reservation already. infiniband differs from guid only to a
// server that goes by the header, or knows the port by nothing else; so it comes after guid,
// which is the form of RFC 4390. The one whose first bytes may change with every boot comes last.
func AutoForms() []ClientID {
	return []ClientID{"flexboot", "guid", "infiniband", "mac", "rfc4361", "hwaddr"}
}

// identities are those by which a device asks: several for "auto" on InfiniBand, otherwise one.
func (id ClientID) identities(d link.Device) []Identity {
	if id == "" {
		id = "auto"
	}
	if d.Type != link.HwInfiniBand {
		return []Identity{id.ethernet(d.Addr)}
	}
	forms := []ClientID{id}
	if id == "auto" {
		forms = AutoForms()
	}
	var all []Identity
	for _, f := range forms {
		all = append(all, f.infiniBand(d.Addr))
	}
	return all
}

// IdentitiesOf are those of all the devices, in their order, each once: except for ports
// without a GUID, which would be one client to the server with all others of the kind.
func (id ClientID) IdentitiesOf(devices []link.Device) []Identity {
	var all []Identity
	for _, d := range devices {
		if !d.Identified() {
			continue
		}
		for _, i := range id.identities(d) {
			if !slices.ContainsFunc(
				all,
				func(o Identity) bool { return o.String() == i.String() && o.chaddr == i.chaddr },
			) {
				all = append(all, i)
			}
		}
	}
	return all
}

// infiniBand follows RFC 4390: hardware type 32, no address in the header. But
// for "infiniband", which is what dhclient sends as Red Hat and Mellanox have patched
// it (systemd issue 17322 has it from the wire: htype 32, hlen 8, option 61 of type 32
// and the GUID) and reservations such as dhcpd's "hardware infiniband" are for; for
// "mac", which is what firmware without that RFC sends; and for "none": a
// server must know the client by something, and dnsmasq refuses to serve one
// with neither address nor identifier ("no unique-id").
func (id ClientID) infiniBand(addr link.HardwareAddr) Identity {
	d := Identity{form: string(id), hwType: link.HwInfiniBand}
	guid, _ := addr.GUID()
	switch id {
	case "flexboot":
		d.id = guid.FlexBoot()
	case "guid":
		d.id = guid.Typed()
	case "infiniband":
		d.chaddr = link.HardwareAddr(guid.B[:])
		d.id = guid.Typed()
	case "hwaddr":
		d.id = append([]byte{link.HwInfiniBand}, addr...)
	case "mac":
		d.hwType, d.chaddr = link.HwEthernet, guid.MAC()
		d.id = append([]byte{link.HwEthernet}, d.chaddr...)
	case "none":
		d.hwType, d.chaddr = link.HwEthernet, guid.MAC()
	case "rfc4361":
		d.id = guid.RFC4361()
	default:
		d.form, _, _ = strings.Cut(string(id), ":")
		d.id = id.Bytes()
	}
	return d
}

// ethernet has 1 and the MAC in all forms but three.
//
// iPXE sends that (src/net/udp/dhcp.c), and pxelinux inherits
// the lease of the PXE ROM. Sending the same bytes makes firmware and initramfs one client to
// the server, hence one lease and one reservation. ROMs that identify
// themselves by UUID (option 61 type 0) are a different client to servers that
// key leases by client-id; there "none" or a reservation by MAC helps.
func (id ClientID) ethernet(addr link.HardwareAddr) Identity {
	d := Identity{form: "mac", hwType: link.HwEthernet, chaddr: addr, id: append([]byte{link.HwEthernet}, addr...)}
	switch {
	case id == "none", strings.HasPrefix(string(id), "hex:"):
		d.form, _, _ = strings.Cut(string(id), ":")
		d.id = id.Bytes()
	case id == "rfc4361" && len(addr) >= 4:
		d.form = string(id)
		d.id = append(
			append([]byte{0xff}, addr[len(addr)-4:]...),
			append([]byte{0, 3, 0, link.HwEthernet}, addr...)...)
	}
	return d
}

// Bytes are those of "hex:", nil for "none".
func (id ClientID) Bytes() []byte {
	text, isHex := strings.CutPrefix(string(id), "hex:")
	if !isHex {
		return nil
	}
	b, _ := hex.DecodeString(text) // checked when it was parsed
	return b
}
