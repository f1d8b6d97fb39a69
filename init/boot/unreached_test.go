package boot

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// A portal or server that is not reached over InfiniBand may be so because the subnet
// manager has ended, which the error says.
func TestUnreachedOverInfiniBand(t *testing.T) {
	const hint = "; over InfiniBand (ib0) it also means that nobody answers path queries: the subnet manager may have ended (check sminfo)"
	ib0 := netsetup.State{Device: "ib0", MAC: "\x00\x02\xc9\x03\x00\x00\x10\x39", Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.23/24")}}
	eth0 := netsetup.State{Device: "eth0", MAC: "\x52\x54\x00\x12\x34\x56", Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.23/24")}}
	both := eth0
	both.Others = []netsetup.State{ib0}
	portal := fmt.Errorf("connect to portal 10.77.0.1:3260: %w: check address", syscall.EHOSTUNREACH)
	several := errors.Join(portal, errors.New("connect to portal 10.77.0.2:3260: connection refused"))
	for name, tt := range map[string]struct {
		line string
		net  netsetup.State
		err  error
		hint bool
	}{
		"portal":              {"netroot=iscsi:10.77.0.1::::iqn.2026-01.example:root", ib0, portal, true},
		"portal, other":       {"netroot=iscsi:10.77.0.1::::iqn.2026-01.example:root", both, several, true},
		"portal, not that":    {"netroot=iscsi:10.88.0.1::::iqn.2026-01.example:root", both, portal, false},
		"portal, Ethernet":    {"netroot=iscsi:10.88.0.1::::iqn.2026-01.example:root", eth0, portal, false},
		"NFS":                 {"root=nfs:10.77.0.1:/export ip=dhcp", ib0, fmt.Errorf("mount: %w", syscall.EHOSTUNREACH), true},
		"firmware":            {"rd.iscsi.firmware", ib0, portal, true},
		"another error":       {"netroot=iscsi:10.77.0.1::::iqn.2026-01.example:root", ib0, fmt.Errorf("connect: %w", syscall.ECONNREFUSED), false},
		"worth no second one": {"netroot=iscsi:10.77.0.1::::iqn.2026-01.example:root", ib0, plan.Permanent(portal), true},
	} {
		p, err := plan.New(cmdline.Parse(tt.line), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := unreached(tt.err, tt.net, p.Servers(tt.net, plan.Names{}))
		if strings.HasSuffix(got.Error(), hint) != tt.hint || !errors.Is(got, tt.err) {
			t.Errorf("%s: %v", name, got)
		}
		if _, before := errors.AsType[*plan.PermanentError](tt.err); before {
			if _, after := errors.AsType[*plan.PermanentError](got); !after {
				t.Errorf("%s: worth another attempt", name)
			}
		}
	}
	if unreached(nil, ib0, nil) != nil {
		t.Error("an error out of nothing")
	}
}
