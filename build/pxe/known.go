package pxe

import (
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// known compares what the command line says of the node's identity with what the server
// is told. A client identifier that only the command line has is the server's, too.
func (r *renderer) known(e entry) {
	if e.node == nil {
		return
	}
	for _, a := range cmdline.Parse(e.words) {
		switch {
		case cmdline.SameKey(a.Key, "nodisk.dhcp.clientid"):
			id, err := lease.ParseClientID(a.Value)
			switch has := e.node.ClientID; {
			case err != nil: // the checker's to tell
			case has != "" && has != string(id):
				r.bad(e.pos, "%s: client-id %s contradicts nodisk.dhcp.clientid=%s of its command line: leave "+
					"one of them out", e.what, has, id)
			case id == "hwaddr" && e.node.infiniBand() && e.node.Port == "":
				r.bad(e.pos, "%s: nodisk.dhcp.clientid=hwaddr of its command line has all 20 bytes of the address: "+
					"write them for guid, as ip link shows them", e.what)
			default:
				e.node.ClientID = string(id)
			}
		case a.Key == "BOOTIF" && e.node.infiniBand():
			c, err := netsetup.ParseConfig(cmdline.Parse("BOOTIF=" + a.Value))
			if guid, ok := c.BootIF.GUID(); err == nil && ok && !guid.Is(e.node.GUID) {
				r.bad(e.pos, "%s: BOOTIF=%s of its command line is another port than guid %s: leave it out",
					e.what, a.Value, e.node.GUID)
			}
		}
	}
}

// infiniBandInterface reports whether the server listens on an interface of InfiniBand, by
// the kernel's or udev's name.
func (n Nodes) infiniBandInterface() bool {
	number, ok := strings.CutPrefix(n.Interface, "ib")
	return ok && (number != "" && strings.Trim(number, "0123456789.abcdef") == "" || link.IsUdevName(n.Interface))
}

// deaf is what the files of the servers that do not serve InfiniBand say of it, each line
// after the sign of a comment.
func (r *renderer) deaf(server, sign string) string {
	if !r.n.infiniBandInterface() {
		return ""
	}
	return sign + " " + server + " hears nobody on " + r.n.Interface + ", which is InfiniBand: put a relay before " +
		"it, or take dnsmasq\n" +
		sign + " (section 5 of docs/infiniband.md).\n"
}
