package lease

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// An exchange of nobody takes no answer.
func TestExchangeNobody(t *testing.T) {
	x := NewExchange(Client{}, func() uint32 { return 7 })
	now := time.Now()
	x.Start(now)
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, Options: dhcpv4.Options{}}
	for _, payload := range [][]byte{nil, m.ToBytes()} {
		if o := x.Receive(now, Packet{Payload: payload, Via: ChannelDHCP}); o.Note != "" || o.Send != nil || o.Lease != nil {
			t.Errorf("%+v", o)
		}
	}
}
