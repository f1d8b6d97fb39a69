package plan

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/ibft/ibfttest"
)

func TestFirmwareTargets(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	const iqn = "iqn.2026-01.test:a"
	for name, tt := range map[string]struct {
		targets  []ibft.Target
		want     []string // Target.String
		problems []string // warnings, or the error when want is nil
	}{
		"one":    {[]ibft.Target{{Addr: v4, Port: 3261, LUN: 1 << 48, Name: iqn}}, []string{"iscsi:10.0.0.1:6:3261:1:" + iqn}, nil},
		"IPv6":   {[]ibft.Target{{Addr: v6, LUN: 0x4752_3a4f_b7da_1c0d, Name: "eui.02004567A425678D"}}, []string{"iscsi:[2001:db8::1]:6:3260:4752-3a4f-b7da-1c0d:eui.02004567A425678D"}, nil},
		"LUN 0":  {[]ibft.Target{{Addr: v4, Name: iqn}}, []string{"iscsi:10.0.0.1:6:3260:0:" + iqn}, nil},
		"two":    {[]ibft.Target{{Addr: v4, Name: iqn}, {Index: 1, Selected: true, Addr: v6, Name: iqn}}, []string{"iscsi:[2001:db8::1]:6:3260:0:" + iqn, "iscsi:10.0.0.1:6:3260:0:" + iqn}, nil},
		"none":   {nil, nil, []string{"the firmware's iBFT names no target"}},
		"CHAP":   {[]ibft.Target{{Addr: v4, Name: iqn, CHAP: ibft.CHAPOneWay, User: "me"}}, nil, []string{"target 0 of the firmware's iBFT: " + iqn + " on 10.0.0.1:3260 asks for CHAP, which is not built yet"}},
		"one of": {[]ibft.Target{{Addr: v4, Name: iqn, CHAP: ibft.CHAPMutual}, {Index: 1, Addr: v6, Name: iqn}}, []string{"iscsi:[2001:db8::1]:6:3260:0:" + iqn}, []string{"asks for CHAP"}},
		"damaged": {
			[]ibft.Target{{Name: iqn}, {Index: 1, Addr: v4, Name: "iqn.x:\x1b[2J"}, {Index: 2, Addr: v4}, {Index: 3, Addr: netip.MustParseAddr("224.0.0.1"), Name: iqn}},
			nil,
			[]string{"target 0 of the firmware's iBFT: " + iqn + " has no address", `target 1 of the firmware's iBFT: name "iqn.x:\x1b[2J"`, "name is empty", "224.0.0.1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := ibft.Parse(ibfttest.Write(ibft.Table{Targets: tt.targets}))
			if err != nil {
				t.Fatal(err)
			}
			usable, problems, err := FirmwareTable(table)
			var got []string
			for _, u := range usable {
				got = append(got, u.String())
				if again, err := iscsi.ParseRootPath(u.String()); err != nil || again.LUN != u.LUN {
					t.Errorf("%v is not what it says: %v", u, err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.want == nil {
				if _, ok := errors.AsType[*PermanentError](err); !ok {
					t.Fatalf("%v, want an error that stays", err)
				}
				problems = append(problems, err)
			}
			said := errors.Join(problems...)
			for _, want := range tt.problems {
				if said == nil || !strings.Contains(said.Error(), want) {
					t.Errorf("%q is not in: %v", want, said)
				}
			}
			if (said == nil) != (tt.problems == nil) {
				t.Errorf("said: %v", said)
			}
			if said != nil && strings.Contains(said.Error(), ibfttest.Secret) {
				t.Errorf("a secret in: %v", said)
			}
		})
	}
}
