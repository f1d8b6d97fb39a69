package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/integration/lab"
)

// A scenario is one image and one way to boot it.
type scenario struct {
	name     string
	profiles string
	tree     bool // the image holds the lab's root
	compress string
	strip    bool // modules without signatures
	stall    bool // the image holds a driver that takes its time
	floor    bool // the floor boots beside it, see floorSource
	spec     lab.BootSpec
	// group names scenarios that are measured in turn; empty: by itself.
	group string
}

// scenarios are measured in this order. Those with two CPUs are one image, and the
// clock follows the host: their difference counts, not they. "slow-probe" is
// a node with a device that nobody needs, in whose probe the driver stays for a
// minute: beside it the same image and node without the device.
func scenarios() []scenario {
	boot := func(s lab.BootSpec) lab.BootSpec {
		s.Icount = true
		return s
	}
	const iscsi = "virt,iscsi,ext4"
	two := lab.BootSpec{Root: lab.RootISCSI, CPUs: 2}
	serial := two
	serial.Append = "nodisk.load=serial"
	stalled := func(s lab.BootSpec) lab.BootSpec {
		s.Devices = []string{"i6300esb"}
		s.Append = "stall.probe_secs=60"
		return s
	}
	one := boot(lab.BootSpec{Root: lab.RootISCSI})
	return []scenario{
		{name: "iscsi", profiles: iscsi, floor: true, spec: boot(lab.BootSpec{Root: lab.RootISCSI})},
		{
			name: "iscsi-static", profiles: iscsi,
			spec: boot(lab.BootSpec{Root: lab.RootISCSI, Static: true}),
		},
		{
			name: "iscsi-zstd", profiles: iscsi, compress: "zstd",
			spec: boot(lab.BootSpec{Root: lab.RootISCSI}),
		},
		{
			name: "iscsi-unsigned", profiles: iscsi, strip: true, floor: true,
			spec: boot(lab.BootSpec{Root: lab.RootISCSI}),
		},
		{
			name: "iscsi-16nics", profiles: iscsi,
			spec: boot(lab.BootSpec{Root: lab.RootISCSI, NICs: 16}),
		},
		{name: "nfs3", profiles: "virt,nfs3", floor: true, spec: boot(lab.BootSpec{Root: lab.RootNFS3})},
		{name: "nfs4", profiles: "virt,nfs4", floor: true, spec: boot(lab.BootSpec{Root: lab.RootNFS4})},
		{name: "ram", profiles: "virt,ram", tree: true, spec: boot(lab.BootSpec{Root: lab.RootRAM})},
		{name: "iscsi-2cpu-parallel", profiles: iscsi, spec: two, group: "2cpu"},
		{name: "iscsi-2cpu-serial", profiles: iscsi, spec: serial, group: "2cpu"},
		{name: "slow-probe-none", profiles: iscsi, stall: true, spec: one, group: "slow"},
		{name: "slow-probe", profiles: iscsi, stall: true, spec: stalled(one), group: "slow"},
		{name: "slow-probe-2cpu-none", profiles: iscsi, stall: true, spec: two, group: "slow-2cpu"},
		{name: "slow-probe-2cpu", profiles: iscsi, stall: true, spec: stalled(two), group: "slow-2cpu"},
	}
}

// groups splits the list where the group changes.
func groups(list []scenario) [][]scenario {
	var all [][]scenario
	for i, s := range list {
		if i > 0 && s.group != "" && s.group == list[i-1].group {
			all[len(all)-1] = append(all[len(all)-1], s)
			continue
		}
		all = append(all, []scenario{s})
	}
	return all
}

func pick(list []scenario, name string) ([]scenario, error) {
	names := make([]string, 0, len(list))
	for _, s := range list {
		if s.name == name {
			return []scenario{s}, nil
		}
		names = append(names, s.name)
	}
	if slices.ContainsFunc(list, func(s scenario) bool { return s.group == name && name != "" }) {
		return slices.DeleteFunc(list, func(s scenario) bool { return s.group != name }), nil
	}
	return nil, fmt.Errorf("scenario %q is unknown: there are %s", name, strings.Join(names, ", "))
}
