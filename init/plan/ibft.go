package plan

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup/ibft"
)

// FirmwareTargets returns the targets of the firmware's table that can be used, those
// first that the firmware booted from, and what is wrong with each of the others.
func FirmwareTargets(t ibft.Table) (usable []iscsi.Target, problems []error) {
	list := slices.Clone(t.Targets)
	slices.SortStableFunc(list, func(a, b ibft.Target) int {
		rank := func(t ibft.Target) int {
			if t.Selected {
				return 0
			}
			return 1
		}
		return cmp.Compare(rank(a), rank(b))
	})
	for _, f := range list {
		t, err := targetOf(f)
		if err != nil {
			problems = append(problems, fmt.Errorf("target %d of the firmware's iBFT: %w", f.Index, err))
			continue
		}
		usable = append(usable, t)
	}
	return usable, problems
}

// targetOf reads one. What it holds is data: a name is one, an address too.
func targetOf(f ibft.Target) (iscsi.Target, error) {
	if err := iscsi.ValidateName(f.Name); err != nil {
		return iscsi.Target{}, err
	}
	port := cmp.Or(f.Port, iscsi.DefaultPort)
	switch {
	case !f.Addr.IsValid():
		return iscsi.Target{}, fmt.Errorf("%s has no address", f.Name)
	case f.Addr.IsMulticast():
		return iscsi.Target{}, fmt.Errorf("%s has the address %v, which is not one of a host", f.Name, f.Addr)
	case f.CHAP != ibft.CHAPNone:
		return iscsi.Target{}, fmt.Errorf(
			"%s on %v asks for CHAP, which is not built yet: restrict the target by initiator name or address",
			f.Name,
			netip.AddrPortFrom(f.Addr, port),
		)
	}
	return iscsi.Target{
		Name:   f.Name,
		Portal: iscsi.Portal{Host: f.Addr.String(), Port: port},
		LUN:    iscsi.LUN(f.LUN),
	}, nil
}

// FirmwareTable is targetsOf where the boot needs one of them: the error says why there is none.
// A table does not change, so no further attempt helps.
func FirmwareTable(t ibft.Table) ([]iscsi.Target, []error, error) {
	usable, problems := FirmwareTargets(t)
	switch {
	case len(usable) > 0:
		return usable, problems, nil
	case len(problems) > 0:
		return nil, nil, Permanent(errors.Join(problems...))
	default:
		return nil, nil, Permanent(errors.New("the firmware's iBFT names no target: check its iSCSI settings"))
	}
}
