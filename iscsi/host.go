package iscsi

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxHost is the longest host name (RFC 1035 section 2.3.4).
const maxHost = 253

// isHost reports whether s can be an address or a host name. It may have come
// from a server: what passes can be printed.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		// The zone of a link-local address is the name of an interface.
		return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	}
	return s != "" && len(s) <= maxHost && !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && r != '-' && r != '.' && r != '_'
	})
}

const (
	// resolveTimeout bounds the question after a portal's addresses.
	resolveTimeout = 5 * time.Second
	// maxAddresses is how many of a name's addresses are tried.
	maxAddresses = 8
)

// A lookup is net.Resolver.LookupNetIP.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// Addressed puts in the place of each target whose portal is a host name one
// for every address of the name: each may be another machine, and not each need
// have the disk. A name that does not resolve stays as it is: the login to it
// says why.
func Addressed(ctx context.Context, targets []Target) []Target {
	return addressed(ctx, targets, net.DefaultResolver.LookupNetIP)
}

func addressed(ctx context.Context, targets []Target, look lookup) []Target {
	ctx, cancel := withTimeout(ctx, resolveTimeout)
	defer cancel()
	found := make([][]netip.Addr, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		if _, err := netip.ParseAddr(t.Portal.Host); err == nil || t.Portal.Host == "" {
			continue
		}
		all.Go(func() {
			if addrs, err := look(ctx, "ip", t.Portal.Host); err == nil {
				found[i] = addrs[:min(len(addrs), maxAddresses)]
			}
		})
	}
	all.Wait()
	var list []Target
	for i, t := range targets {
		if found[i] == nil {
			list = append(list, t)
		}
		for _, a := range found[i] {
			t.Portal.Host = a.Unmap().String()
			list = append(list, t)
		}
	}
	return list
}
