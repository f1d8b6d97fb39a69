package bringup

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// Where fields are in a message of BOOTP (RFC 951 section 3).
const (
	offsetXID    = 4
	offsetCookie = 236
)

// A badServer misbehaves, and in the end does what a good one does.
type badServer struct {
	// script makes the answers, for the network of the case.
	script func(server netip.Prefix) script
	// change is how the lease differs from goodLease.
	change func(server netip.Prefix, l *lease.Lease)
	// heard is what the server hears, in order. A DISCOVER that follows a
	// DISCOVER, and a REQUEST a REQUEST, are one: they are sent again.
	heard string
	// atMost is how many messages the server hears, 0 for 12.
	atMost int
	// console are texts that the console shows.
	console []string
}

const (
	kindDiscover = dhcpv4.MessageTypeDiscover
	kindRequest  = dhcpv4.MessageTypeRequest
	kindOffer    = dhcpv4.MessageTypeOffer
	kindAck      = dhcpv4.MessageTypeAck
	kindNak      = dhcpv4.MessageTypeNak

	straight = "DISCOVER REQUEST"
	again    = straight + " " + straight
)

// first answers the first messages of a kind otherwise than a good server.
func first(n int, kind dhcpv4.MessageType, bad func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte) func(netip.Prefix) script {
	return func(server netip.Prefix) script {
		seen := 0
		return func(m *dhcpv4.DHCPv4) [][]byte {
			if m.MessageType() == kind && seen < n {
				seen++
				return bad(server, m)
			}
			return good(server)(m)
		}
	}
}

// offers makes the first offer another one.
func offers(changes ...change) func(netip.Prefix) script {
	return first(1, kindDiscover, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
		return [][]byte{reply(server, m, kindOffer, changes...)}
	})
}

// offersAddr offers the address first; last makes it of the server's network.
func offersAddr(a func(server netip.Prefix) netip.Addr) func(netip.Prefix) script {
	return first(1, kindDiscover, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
		return [][]byte{reply(server, m, kindOffer, yiaddr(a(server)))}
	})
}

// gives makes all its answers others.
func gives(changes ...change) func(netip.Prefix) script {
	return func(server netip.Prefix) script {
		return func(m *dhcpv4.DHCPv4) [][]byte {
			switch m.MessageType() {
			case kindDiscover:
				return [][]byte{reply(server, m, kindOffer, changes...)}
			case kindRequest:
				return [][]byte{reply(server, m, kindAck, changes...)}
			default:
				return nil
			}
		}
	}
}

func always(a string) func(netip.Prefix) netip.Addr {
	return func(netip.Prefix) netip.Addr { return addr(a) }
}

func last(b byte) func(netip.Prefix) netip.Addr {
	return func(server netip.Prefix) netip.Addr { return in4(server, b) }
}

func badServers() map[string]badServer {
	return map[string]badServer{
		"good": {script: good, heard: straight, atMost: 3},
		"NAK, then good": {
			script: first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(server, m, kindNak, func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessage("wrong network")) })}
			}),
			heard: again, console: []string{"refused its own offer (NAK): wrong network"},
		},
		"NAK thrice, then good": {
			script: first(3, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte { return [][]byte{reply(server, m, kindNak)} }),
			heard:  again + " " + again,
		},
		"NAK with escape codes": {
			script: first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(server, m, kindNak, func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessage("\x1b[2J\x1b[31mroot:")) })}
			}),
			heard: again,
		},
		"NAK of another server": {
			script: first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(server, m, kindNak, serverID(in4(server, 9))), reply(server, m, kindAck)}
			}),
			heard: straight,
		},
		"no mask":          {script: offers(without(1)), heard: straight, console: []string{"no subnet mask (option 1)"}},
		"mask of 3 bytes":  {script: offers(option(1, 255, 255, 255)), heard: straight, console: []string{"subnet mask of 3 bytes"}},
		"mask with a hole": {script: offers(option(1, 255, 0, 255, 0)), heard: straight, console: []string{"netmask 255.0.255.0 is not a netmask"}},
		"mask 0.0.0.0":     {script: offers(option(1, 0, 0, 0, 0)), heard: straight, console: []string{"netmask 0.0.0.0 is not a netmask"}},
		"no server id":     {script: offers(without(54)), heard: straight, console: []string{"no server identifier (option 54)"}},
		"no message type":  {script: offers(without(53)), heard: straight},
		"BOOTREQUEST":      {script: offers(func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }), heard: straight},
		"another client's": {script: offers(func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = []byte("\x52\x54\x00\xff\xff\xff") }), heard: straight},
		"transaction of another": {
			script: offers(func(m *dhcpv4.DHCPv4) { m.TransactionID[0] ^= 1 }), heard: straight,
		},
		"no address":           {script: offersAddr(always("0.0.0.0")), heard: straight, console: []string{"no address"}},
		"network address":      {script: offersAddr(last(0)), heard: straight, console: []string{"is not the address of a host"}},
		"broadcast address":    {script: offersAddr(last(255)), heard: straight, console: []string{"is not the address of a host"}},
		"limited broadcast":    {script: offersAddr(always("255.255.255.255")), heard: straight, console: []string{"is not the address of a host"}},
		"multicast address":    {script: offersAddr(always("224.0.0.5")), heard: straight, console: []string{"is not the address of a host"}},
		"loopback address":     {script: offersAddr(always("127.0.0.5")), heard: straight, console: []string{"is not the address of a host"}},
		"address of class E":   {script: offersAddr(always("240.0.0.5")), heard: straight, console: []string{"is not the address of a host"}},
		"address of network 0": {script: offersAddr(always("0.0.0.5")), heard: straight, console: []string{"is not the address of a host"}},
		"lease of 60 s":        {script: gives(option(51, 0, 0, 0, 60)), heard: straight, change: func(_ netip.Prefix, l *lease.Lease) { l.Duration = time.Minute }},
		"lease of 1 s":         {script: gives(option(51, 0, 0, 0, 1)), heard: straight, change: func(_ netip.Prefix, l *lease.Lease) { l.Duration = time.Second }},
		"lease for ever":       {script: gives(option(51, 255, 255, 255, 255)), heard: straight, change: func(_ netip.Prefix, l *lease.Lease) { l.Duration = 0 }},
		"no lease time":        {script: gives(without(51)), heard: straight, change: func(_ netip.Prefix, l *lease.Lease) { l.Duration = 0 }},
		"T1 behind T2": {
			script: gives(option(58, 0, 0, 14, 0), option(59, 0, 0, 1, 0)), heard: straight,
			change: func(_ netip.Prefix, l *lease.Lease) { l.Renew, l.Rebind = 3584*time.Second, 256*time.Second },
		},
		"T2 behind the end": {
			script: gives(option(58, 0, 0, 14, 0), option(59, 0, 1, 0, 0)), heard: straight,
			change: func(_ netip.Prefix, l *lease.Lease) { l.Renew, l.Rebind = 3584*time.Second, 65536*time.Second },
		},
		"MTU too small": {script: gives(option(26, 0, 67)), heard: straight, change: func(_ netip.Prefix, l *lease.Lease) { l.MTU = 0 }, console: []string{"MTU 67 is too small"}},
		"root-path with escape codes": {
			script: gives(func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRootPath("nfs:\x1b[2J")) }), heard: straight,
			change: func(_ netip.Prefix, l *lease.Lease) { l.RootPath = "" }, console: []string{"root-path"},
		},
		"texts that end in NUL": {
			script: gives(func(m *dhcpv4.DHCPv4) {
				m.UpdateOption(dhcpv4.OptHostName("node7\x00"))
				m.UpdateOption(dhcpv4.OptRootPath("iscsi:10.0.0.2::::iqn.2026-01.example:disk\x00\x00"))
			}), heard: straight,
		},
		"routes that end early": {
			script: gives(option(121, 16, 10, 5, 10, 77)), heard: straight, console: []string{"routes (option 121) cannot be read"},
		},
		"offer of one, ACK of another": {
			script: first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(server, m, kindAck, serverID(in4(server, 9)), yiaddr(in4(server, 99)))}
			}), heard: straight,
		},
		"two servers": {
			script: func(server netip.Prefix) script {
				other := []change{serverID(in4(server, 9)), yiaddr(in4(server, 99))}
				return func(m *dhcpv4.DHCPv4) [][]byte {
					switch m.MessageType() {
					case kindDiscover:
						return [][]byte{reply(server, m, kindOffer), reply(server, m, kindOffer, other...), reply(server, m, kindOffer)}
					case kindRequest:
						return [][]byte{reply(server, m, kindAck, other...), reply(server, m, kindNak, other[0]), reply(server, m, kindAck), reply(server, m, kindAck, other...)}
					default:
						return nil
					}
				}
			}, heard: straight, atMost: 3,
		},
		"the other server first, and silent then": {
			script: func(server netip.Prefix) script {
				return func(m *dhcpv4.DHCPv4) [][]byte {
					if m.MessageType() == kindDiscover {
						return slices.Concat([][]byte{reply(server, m, kindOffer, serverID(in4(server, 9)), yiaddr(in4(server, 99)))}, good(server)(m))
					}
					return good(server)(m)
				}
			}, heard: straight, atMost: 30, console: []string{"does not confirm it (4 REQUESTs sent)"},
		},
		"the other server first, and it refuses then": {
			script: func(server netip.Prefix) script {
				other := serverID(in4(server, 9))
				return func(m *dhcpv4.DHCPv4) [][]byte {
					switch {
					case m.MessageType() == kindDiscover:
						return [][]byte{reply(server, m, kindOffer, other, yiaddr(in4(server, 99))), reply(server, m, kindOffer)}
					case m.ServerIdentifier().String() != server.Addr().String():
						return [][]byte{reply(server, m, kindNak, other)}
					default:
						return good(server)(m)
					}
				}
			}, heard: again, atMost: 12, console: []string{".9 refused its own offer (NAK)"},
		},
		"ACK of another address": {
			script: func(server netip.Prefix) script {
				return first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
					return [][]byte{reply(server, m, kindAck, yiaddr(in4(server, 24)))}
				})(server)
			}, heard: straight, change: func(server netip.Prefix, l *lease.Lease) { l.Addr = netip.PrefixFrom(in4(server, 24), 24) },
		},
		"ACK without an address": {
			script: func(server netip.Prefix) script {
				return first(1, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
					return [][]byte{reply(server, m, kindAck, without(1))}
				})(server)
			}, heard: again, console: []string{"acknowledgement of"},
		},
		"address in use": {
			script: offersInUse(1), heard: "DISCOVER REQUEST DECLINE DISCOVER REQUEST",
			change:  func(server netip.Prefix, l *lease.Lease) { l.Addr = netip.PrefixFrom(in4(server, 23), 24) },
			console: []string{".40, which ", "declined"},
		},
		"two addresses in use": {
			script: offersInUse(2), heard: "DISCOVER REQUEST DECLINE DISCOVER REQUEST DECLINE DISCOVER REQUEST", atMost: 10,
			console: []string{".41, which ", "declined"},
		},
		"gateway that does not answer": {
			script: gives(option(3, 10, 100, 0, 250)), heard: straight, atMost: 3,
			change: func(_ netip.Prefix, l *lease.Lease) { l.Gateway = addr("10.100.0.250") },
		},
		"gateway in the network that does not answer": {
			script: func(server netip.Prefix) script {
				a := in4(server, 250).As4()
				return gives(option(3, a[:]...))(server)
			}, heard: straight, atMost: 3,
			change:  func(server netip.Prefix, l *lease.Lease) { l.Gateway = in4(server, 250) },
			console: []string{".250 does not answer ARP"},
		},
		"rubbish": {script: rubbish, heard: straight, atMost: 40},
		"every option cut short": {
			script: func(server netip.Prefix) script {
				return func(m *dhcpv4.DHCPv4) [][]byte {
					if m.MessageType() == kindDiscover {
						return append(cutShort(server, m), reply(server, m, kindOffer))
					}
					return good(server)(m)
				}
			}, heard: straight,
		},
		"ACKs that end early": {
			script: func(server netip.Prefix) script {
				return func(m *dhcpv4.DHCPv4) [][]byte {
					if m.MessageType() == kindRequest {
						whole := reply(server, m, kindAck)
						var all [][]byte
						// Without its end an option is longer than what is left.
						for n := offsetCookie + 4 + 3 + 1; n < offsetCookie+4+3+6+6; n++ {
							all = append(all, whole[:n])
						}
						return append(all, whole)
					}
					return good(server)(m)
				}
			},
		},
	}
}

// cutShort are offers in which an option is shorter than it says, or shorter
// than it has to be: each option at every length.
func cutShort(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
	whole, err := dhcpv4.FromBytes(reply(server, m, kindOffer))
	if err != nil {
		panic(err) // made by reply
	}
	// In front of all others is what a lease needs, so that these are not it.
	var all [][]byte
	for code, value := range whole.Options {
		for n := range len(value) {
			cut := reply(server, m, kindOffer, option(code, value[:n]...), without(1))
			// Without the end, and with a length that is beyond it.
			beyond := slices.Concat(cut[:len(cut)-1], []byte{code, byte(len(value))}, value[:n])
			all = append(all, cut, beyond)
		}
	}
	return all
}

// offersInUse offers first addresses that somebody else has, see inUse.
func offersInUse(n int) func(netip.Prefix) script {
	return func(server netip.Prefix) script {
		declined := 0
		return func(m *dhcpv4.DHCPv4) [][]byte {
			if m.MessageType() == dhcpv4.MessageTypeDecline {
				declined++
			}
			if declined == n {
				return good(server)(m)
			}
			switch taken := yiaddr(in4(server, inUse+byte(declined))); m.MessageType() {
			case kindDiscover:
				return [][]byte{reply(server, m, kindOffer, taken)}
			case kindRequest:
				return [][]byte{reply(server, m, kindAck, taken)}
			default:
				return nil
			}
		}
	}
}

// Another node has the addresses that end in inUse and the number after it.
const inUse = 40

// rubbish answers the first messages by noise: random bytes, and good answers
// of which some bytes are others. Of an ACK only the header is touched, for
// one that says another thing is a lease all the same.
func rubbish(server netip.Prefix) script {
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	mutated := func(b []byte, from, to int) []byte {
		b = slices.Clone(b)
		for range 1 + r.IntN(8) {
			b[from+r.IntN(to-from)] = byte(r.Uint32())
		}
		return b
	}
	rounds := 0
	return func(m *dhcpv4.DHCPv4) [][]byte {
		var all [][]byte
		if rounds++; rounds <= 4 {
			for i := range 100 {
				all = append(all, noise(i*12))
				whole := reply(server, m, kindOffer)
				if m.MessageType() == kindDiscover {
					all = append(all, mutated(whole, 0, len(whole)), whole[:r.IntN(len(whole))])
				} else {
					all = append(all, mutated(reply(server, m, kindAck), offsetXID, offsetXID+4), mutated(reply(server, m, kindNak), offsetXID, offsetXID+4))
				}
			}
		}
		return append(all, good(server)(m)...)
	}
}
