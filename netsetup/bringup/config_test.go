package bringup

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

func byValue() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	macA = link.HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = link.HardwareAddr("\x52\x54\x00\x12\x34\x57")
)

func parseLine(t *testing.T, line string) netsetup.Config {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
