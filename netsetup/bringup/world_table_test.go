package bringup_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A situation is a line of testdata/world.txt, which says what its columns are.
type situation struct {
	id, source, what, line string
	onlyPlan               bool
	cards                  []fakekernel.Card
	taken                  []netip.Addr
	want                   []fact
}

// A fact is something that must come of a situation.
type fact struct{ key, value string }

// parseTable reads all of the table; the error has all that is wrong with it.
func parseTable(text string) ([]situation, error) {
	var (
		list []situation
		errs []error
	)
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseSituation(line)
		if err == nil && slices.ContainsFunc(list, func(o situation) bool { return o.id == s.id }) {
			err = fmt.Errorf("%s: is there already", s.id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

func parseSituation(line string) (situation, error) {
	columns := strings.Split(line, " | ")
	if len(columns) != 6 {
		return situation{}, fmt.Errorf("%d columns, not 6", len(columns))
	}
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
	}
	s := situation{id: columns[0], source: columns[1], what: columns[2], line: columns[3]}
	if s.id == "" || s.source == "" || s.what == "" || strings.ContainsAny(s.id, " /") {
		return s, fmt.Errorf("%q: id, source and situation are words", s.id)
	}
	if err := s.parseNode(columns[4]); err != nil {
		return s, fmt.Errorf("%s: %w", s.id, err)
	}
	if err := s.parseWant(columns[5]); err != nil {
		return s, fmt.Errorf("%s: %w", s.id, err)
	}
	return s, nil
}

// parseNode reads the cards of a node: "eth0 lease=10.0.0.9/24 router=10.0.0.1; eth1".
func (s *situation) parseNode(text string) error {
	if s.onlyPlan = text == "plan"; s.onlyPlan {
		return nil
	}
	if text == "none" {
		return nil
	}
	for i, part := range strings.Split(text, ";") {
		words, err := splitWords(part)
		if err != nil {
			return err
		}
		if len(words) == 0 || strings.Contains(words[0], "=") {
			return fmt.Errorf("card %d has no name", i+1)
		}
		card := newCard(i, words[0])
		for _, w := range words[1:] {
			if err := s.parseCard(&card, w); err != nil {
				return fmt.Errorf("card %s: %s: %w", words[0], w, err)
			}
		}
		s.cards = append(s.cards, card)
	}
	return nil
}

// newCard is the card that a name alone says: 52:54:00:12:34:56 and up, virtio_net, in
// the slots 3 and up of bus 0, with a cable on which nobody answers.
func newCard(i int, name string) fakekernel.Card {
	if strings.HasPrefix(name, "ib") {
		const prefix = "\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10" // queue pair, subnet, most of the GUID
		c := fakekernel.InfiniBandCard(i+2, name, link.HardwareAddr(prefix+string(rune(0x39+i))))
		c.Device.Udev = link.UdevNames{Slot: fmt.Sprintf("ibs%d", i+3), Path: fmt.Sprintf("ibp0s%d", i+3)}
		return c
	}
	c := fakekernel.EthernetCard(i+2, name, link.HardwareAddr([]byte{0x52, 0x54, 0, 0x12, 0x34, byte(0x56 + i)}))
	c.Device.Udev = link.UdevNames{Slot: fmt.Sprintf("ens%d", i+3), Path: fmt.Sprintf("enp0s%d", i+3)}
	return c
}

// parseCard reads one word of a card, or of the last server on its cable.
func (s *situation) parseCard(c *fakekernel.Card, word string) (err error) {
	key, value, _ := strings.Cut(word, "=")
	d := &c.Device
	switch key {
	case "mac":
		if d.Addr, err = link.ParseAddress(value); len(d.Addr) == 6 && err == nil {
			d.Udev.MAC = "enx" + strings.ReplaceAll(value, ":", "")
		}
	case "slot":
		d.Udev.Slot = value
	case "path":
		d.Udev.Path = value
	case "onboard":
		d.Udev.Onboard = value
	case "udev":
		if value != "none" {
			return errors.New("is none or not there")
		}
		d.Udev = link.UdevNames{}
	case "driver":
		d.Driver = value
	case "altname":
		d.Alt = value
	case "carrier":
		if value == "never" {
			c.Signal = -1
			return nil
		}
		c.Signal, err = time.ParseDuration(value)
	case "router6":
		c.Router6, err = netip.ParseAddr(value)
	case "prefix6":
		c.Prefix6, err = netip.ParsePrefix(value)
	case "link6":
		c.Link6, err = netip.ParsePrefix(value)
	case "lease6":
		c.Lease6, err = netip.ParseAddr(value)
	case "taken":
		var a netip.Addr
		a, err = netip.ParseAddr(value)
		s.taken = append(s.taken, a)
	case "lease":
		server := fakekernel.Server{Options: map[dhcpv4.OptionCode][]byte{}}
		if server.Lease, err = netip.ParsePrefix(value); err != nil {
			return err
		}
		server.ID = server.Lease.Masked().Addr().Next()
		c.Servers = append(c.Servers, server)
	default:
		if len(c.Servers) == 0 {
			return errors.New("is no word of a card, and behind no lease=")
		}
		return parseServer(&c.Servers[len(c.Servers)-1], key, value)
	}
	return err
}

func parseServer(s *fakekernel.Server, key, value string) (err error) {
	text := func(code dhcpv4.OptionCode) { s.Options[code] = []byte(value) }
	switch key {
	case "id":
		s.ID, err = netip.ParseAddr(value)
	case "next-server":
		s.NextServer, err = netip.ParseAddr(value)
	case "after":
		s.After, err = time.ParseDuration(value)
	case "router":
		s.Options[dhcpv4.OptionRouter], err = addresses(value)
	case "dns":
		s.Options[dhcpv4.OptionDomainNameServer], err = addresses(value)
	case "root-path":
		text(dhcpv4.OptionRootPath)
	case "host":
		text(dhcpv4.OptionHostName)
	case "domain":
		text(dhcpv4.OptionDomainName)
	case "initiator":
		text(dhcpv4.GenericOptionCode(203))
	case "search":
		names := rfc1035label.Labels{Labels: strings.Split(value, ",")}
		s.Options[dhcpv4.OptionDNSDomainSearchList] = names.ToBytes()
	case "mtu":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 16)
		s.Options[dhcpv4.OptionInterfaceMTU] = binary.BigEndian.AppendUint16(nil, uint16(n))
	case "routes":
		s.Options[dhcpv4.OptionClasslessStaticRoute], err = routes(value)
	case "mask":
		if value != "none" {
			return errors.New("is none or not there")
		}
		s.Options[dhcpv4.OptionSubnetMask] = nil
	default:
		return errors.New("is no word of a card or a server")
	}
	return err
}

func addresses(list string) (b []byte, err error) {
	for word := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, err
		}
		b = append(b, a.AsSlice()...)
	}
	return b, nil
}

// routes is option 121 of "10.0.0.0/8>10.77.0.1,0.0.0.0/0>10.77.0.1" (RFC 3442).
func routes(list string) (b []byte, err error) {
	for word := range strings.SplitSeq(list, ",") {
		to, by, _ := strings.Cut(word, ">")
		dst, err := netip.ParsePrefix(to)
		if err != nil {
			return nil, err
		}
		via, err := netip.ParseAddr(by)
		if err != nil {
			return nil, err
		}
		b = append(b, byte(dst.Bits()))
		b = append(b, dst.Masked().Addr().AsSlice()[:(dst.Bits()+7)/8]...)
		b = append(b, via.AsSlice()...)
	}
	return b, nil
}

// parseWant reads what must come.
func (s *situation) parseWant(text string) error {
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || value == "" || kindOf(key) == 0 {
			return fmt.Errorf("%s: is not what can come of it", w)
		}
		if key == "within" {
			if _, err := time.ParseDuration(value); err != nil {
				return err
			}
		}
		s.want = append(s.want, fact{key, value})
	}
	if len(s.want) == 0 {
		return errors.New("nothing must come of it")
	}
	return nil
}

// splitWords divides at spaces that are not in quotation marks, between which Go's
// escapes hold (\x00).
func splitWords(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return words, nil
		}
		word := ""
		for text != "" && text[0] != ' ' {
			if text[0] != '"' {
				word, text = word+text[:1], text[1:]
				continue
			}
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
			plain, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
			word, text = word+plain, text[len(quoted):]
		}
		words = append(words, word)
	}
}
