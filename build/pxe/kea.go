package pxe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// The parts of Kea's configuration that are written, with its own names
// (https://kea.readthedocs.io/en/latest/arm/dhcp4-srv.html).
type (
	keaFile struct {
		DHCP4 keaDHCP4 `json:"Dhcp4"`
	}
	keaDHCP4 struct {
		Interfaces  keaInterfaces `json:"interfaces-config"`
		Lifetime    int           `json:"valid-lifetime"`
		Server      string        `json:"next-server,omitempty"` // to all, as dhcpd's
		Identifiers []string      `json:"host-reservation-identifiers"`
		Unique      bool          `json:"ip-reservations-unique"`
		Classes     []keaClass    `json:"client-classes,omitempty"`
		Subnets     []keaSubnet   `json:"subnet4"`
	}
	keaInterfaces struct {
		Interfaces []string `json:"interfaces"`
	}
	keaClass struct {
		Name string `json:"name"`
		Test string `json:"test"`
		File string `json:"boot-file-name"`
	}
	keaSubnet struct {
		ID           uint32           `json:"id"`
		Subnet       string           `json:"subnet"`
		MatchID      bool             `json:"match-client-id"`
		Pools        []keaPool        `json:"pools,omitempty"`
		Options      []keaOption      `json:"option-data,omitempty"`
		Reservations []keaReservation `json:"reservations,omitempty"`
	}
	keaPool struct {
		Pool string `json:"pool"`
	}
	keaOption struct {
		Name string `json:"name"`
		Data string `json:"data"`
	}
	keaReservation struct {
		HW       string `json:"hw-address,omitempty"`
		ClientID string `json:"client-id,omitempty"`
		IP       string `json:"ip-address,omitempty"`
		Hostname string `json:"hostname"`
	}
)

// kea writes a whole configuration.
func (r *renderer) kea() string {
	c := keaDHCP4{
		Interfaces: keaInterfaces{Interfaces: []string{"*"}}, Lifetime: int(r.n.Lease.Seconds()),
		Identifiers: []string{"client-id", "hw-address"}, Unique: true, Classes: r.keaClasses(),
	}
	if r.n.Server.IsValid() {
		c.Server = r.n.Server.String()
	}
	if r.n.Interface != "" {
		c.Interfaces.Interfaces[0] = r.n.Interface
	}
	residents := r.residents()
	for _, s := range r.n.Subnets {
		k := keaSubnet{
			// Leases are kept under the number: it must not change when
			// another subnet is written before this one.
			ID: toNumber(s.Prefix.Addr()), Subnet: s.Prefix.String(),
		}
		if s.First.IsValid() {
			k.Pools = []keaPool{{Pool: fmt.Sprintf("%v - %v", s.First, s.Last)}}
		}
		option := func(name, data string) { k.Options = append(k.Options, keaOption{Name: name, Data: data}) }
		if s.Gateway.IsValid() {
			option("routers", s.Gateway.String())
		}
		if len(s.DNS) > 0 {
			option("domain-name-servers", list(s.DNS, ", "))
		}
		if s.Domain != "" {
			option("domain-name", s.Domain)
		}
		here := slices.Concat(residents[s.Prefix], residents[netip.Prefix{}])
		slices.Sort(here) // the order of the description
		for _, i := range here {
			d := r.n.Nodes[i]
			if d.infiniBand() {
				// Clients without hardware address are told apart by nothing else.
				k.MatchID = true
			}
			identities := d.identities()
			if !d.infiniBand() {
				// match-client-id is off: the address says it all, also to a firmware
				// that sends its UUID.
				identities = identities[:1]
			}
			c.Unique = c.Unique && (len(identities) == 1 || !d.IP.IsValid())
			for _, i := range identities {
				reservation := keaReservation{ClientID: i.id, Hostname: d.Name}
				if i.id == "" {
					reservation.HW = cmp.Or(i.guid, i.mac)
				}
				if d.IP.IsValid() {
					reservation.IP = d.IP.String()
				}
				k.Reservations = append(k.Reservations, reservation)
			}
		}
		c.Subnets = append(c.Subnets, k)
	}
	text, err := json.MarshalIndent(keaFile{DHCP4: c}, "", "  ")
	if err != nil { // strings, numbers and truth values
		r.bad(Position{}, "write Kea's configuration: %v", err)
	}
	return "//" + banner("Kea") + "\n" + r.deaf("Kea", "//") + string(text) + "\n"
}

// residents are the nodes of each subnet, as indexes; under the zero prefix
// those that have no address there: their reservations are in all subnets.
func (r *renderer) residents() map[netip.Prefix][]int {
	all := map[netip.Prefix][]int{}
	for i, d := range r.n.Nodes {
		var prefix netip.Prefix
		if s := r.subnet(d.IP); s != nil {
			prefix = s.Prefix
		}
		all[prefix] = append(all[prefix], i)
	}
	return all
}

// keaClasses name the loader to firmware alone, as dhcpdClass does.
func (r *renderer) keaClasses() []keaClass {
	const (
		pxe  = "substring(option[60].hex, 0, 9) == 'PXEClient'"
		ipxe = "option[175].exists"
		uefi = "(option[93].hex == 0x0007 or option[93].hex == 0x0009)"
		arm  = "option[93].hex == 0x000b"
	)
	var all []keaClass
	for _, c := range r.n.Loader.clients() {
		k := keaClass{File: c.file}
		switch c.kind {
		case clientIPXE:
			k.Name, k.Test = "nodisk-ipxe", ipxe
		case clientUEFI:
			k.Name, k.Test = "nodisk-uefi", uefi
		case clientARM:
			k.Name, k.Test = "nodisk-arm64", arm
		case clientBIOS:
			k.Name, k.Test = "nodisk-bios", "not "+uefi+" and not ("+arm+")"
		}
		k.Test = pxe + " and " + k.Test
		if c.kind != clientIPXE && r.n.Loader.IPXE != "" {
			k.Test += " and not " + ipxe
		}
		all = append(all, k)
	}
	return all
}
