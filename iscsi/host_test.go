package iscsi

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIsHost(t *testing.T) {
	for s, want := range map[string]bool{
		"10.0.0.1": true, "2001:db8::1": true, "fe80::1%eth0": true, "disk_1.example.org": true, "a": true,
		"": false, "a b": false, "a\x1b[2J": false, "fe80::1%\x1b[2J": false, "a/b": false, "[::1]": false,
		"a:1": false, "ä": false,
		strings.Repeat("a", 254): false,
	} {
		if got := isHost(s); got != want {
			t.Errorf("isHost(%q) = %v, want %v", s, got, want)
		}
	}
	if _, err := ParseRootPath("iscsi:a\x1b[2J::::iqn.2026-01.test:a"); err == nil ||
		strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a server that steers the terminal: %v", err)
	}
}

// Each address of a portal's name is a portal; a name that does not resolve
// stays for the login to explain.
func TestAddressed(t *testing.T) {
	look := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "disk" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2"),
			netip.MustParseAddr("2001:db8::1")}, nil
	}
	var got []string
	for _, x := range addressed(t.Context(), []Target{
		{Portal: Portal{"192.0.2.1", 1}}, {Portal: Portal{"nobody", 2}}, {Portal: Portal{"disk", 3}},
	}, look) {
		got = append(got, x.Portal.String())
	}
	want := []string{"192.0.2.1:1", "nobody:2", "10.0.0.1:3", "10.0.0.2:3", "[2001:db8::1]:3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
