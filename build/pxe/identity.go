package pxe

import (
	"encoding/hex"
	"strings"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// An identity is one way in which a node is known to a DHCP server: by the
// identifier, or where id is empty by the address in the header of its messages.
type identity struct {
	form string // a value of nodisk.dhcp.clientid=
	id   string // DHCP option 61, bytes in hexadecimal with colons
	// Of the header: the six bytes of Ethernet, or the GUID of InfiniBand.
	mac, guid string
}

// Hardware types of DHCP (RFC 2131, RFC 4390).
const (
	typeEthernet   = 0x01
	typeInfiniBand = 0x20
)

func colons(b ...byte) string { return link.HardwareAddr(b).String() }

// identities are those by which a server must know the node to give it one
// address from the firmware to the system; the preferred first. An Ethernet
// port has its address in all messages, which is enough. On InfiniBand it is
// the form that was chosen, and for "auto" each that firmware or /init sends; and
// always the six bytes, which are all that UEFI has for such a port.
func (n Node) identities() []identity {
	mac := n.mac().String()
	if !n.infiniBand() {
		all := []identity{{form: "none", mac: mac}}
		if id := n.ethernetID(); id != "" {
			all = append(all, identity{form: n.ClientID, id: id})
		}
		return all
	}
	forms := []lease.ClientID{lease.ClientID(n.ClientID)}
	switch n.ClientID {
	case "", "auto":
		forms = lease.AutoForms()
	case "infiniband":
		// Who has this header has the identifier of guid as well, and systems that
		// keep to RFC 4390 have that alone.
		forms = append(forms, "guid")
	}
	if n.ClientID != "none" {
		forms = append(forms, "none")
	}
	var all []identity
	for _, f := range forms {
		d := identity{form: string(f)}
		switch {
		case f == "flexboot":
			d.id = colons(n.GUID.FlexBoot()...)
		case f == "guid":
			d.id = colons(n.GUID.Typed()...)
		case f == "infiniband":
			d.guid = n.GUID.String()
		case f == "rfc4361":
			d.id = colons(n.GUID.RFC4361()...)
		case f == "mac":
			d.id = colons(append([]byte{typeEthernet}, n.GUID.MAC()...)...)
		case f == "hwaddr" && n.Port == "":
			continue // not known, and the last choice
		case f == "hwaddr":
			d.id = colons(append([]byte{typeInfiniBand}, n.Port...)...)
		case f == "none":
			d.mac = mac
		default:
			d.id = n.hexID()
		}
		all = append(all, d)
	}
	return all
}

// ethernetID is the identifier of an Ethernet port where it is not the address.
func (n Node) ethernetID() string {
	if n.ClientID == "rfc4361" {
		// RFC 8415 section 11.4, DUID-LL, as /init makes it.
		id := append([]byte{0xff}, n.MAC[len(n.MAC)-4:]...)
		return colons(append(append(id, 0, 3, 0, typeEthernet), n.MAC...)...)
	}
	return n.hexID()
}

func (n Node) hexID() string {
	digits, ok := strings.CutPrefix(n.ClientID, "hex:")
	if !ok {
		return ""
	}
	b, err := hex.DecodeString(digits)
	if err != nil { // Parse has refused it
		return ""
	}
	return colons(b...)
}
