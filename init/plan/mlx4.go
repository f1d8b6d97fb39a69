package plan

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A PortType is what a port of a Mellanox VPI adapter becomes, numbered as in
// enum mlx4_port_type of include/linux/mlx4/device.h.
type PortType byte

// A port's protocol, as mlx4's port_type= numbers it.
const (
	PortIB   PortType = iota + 1
	portEth           // Ethernet
	PortAuto          // what is found at the other end
)

// String is the value on the command line.
func (t PortType) String() string {
	switch t {
	case PortIB:
		return "ib"
	case portEth:
		return "eth"
	case PortAuto:
		return "auto"
	}
	return "unknown"
}

// digit is the element of port_type_array= for it. That has none for auto: 0 is
// what the firmware suggests, until sensePorts.
func (t PortType) digit() byte {
	if t == PortAuto {
		return '0'
	}
	return '0' + byte(t)
}

// PortsMax is MLX4_MAX_PORTS.
const PortsMax = 2

// SetPorts reads nodisk.mlx4.port_type= and makes a module parameter of it. A single value is for
// all ports. If the parameter is also written out it must say the same: nodisk does not guess
// which of the two is meant.
func (m *ModulePlan) SetPorts(args cmdline.Args) error {
	const key, param = "nodisk.mlx4.port_type", "port_type_array"
	value, ok := args.Last(key)
	if !ok {
		if args.Has(key) {
			return &cmdline.ValueError{Key: key, Problem: "is empty", Fix: portsFix}
		}
		return nil
	}
	var ports []PortType
	for word := range strings.SplitSeq(value, ",") {
		types := []PortType{PortIB, portEth, PortAuto}
		i := slices.IndexFunc(types, func(t PortType) bool { return t.String() == strings.TrimSpace(word) })
		switch {
		case i < 0:
			return &cmdline.ValueError{
				Key:     key,
				Value:   value,
				Problem: `"` + word + `" is not a type of port`,
				Fix:     portsFix,
			}
		case len(ports) == PortsMax:
			return &cmdline.ValueError{Key: key, Value: value, Problem: "has more than two ports", Fix: portsFix}
		}
		ports = append(ports, types[i])
	}
	if len(ports) == 1 {
		ports = append(ports, ports[0])
	}
	m.Ports = ports
	array := string([]byte{ports[0].digit(), ',', ports[1].digit()})
	if other, ok := args.Last("mlx4_core." + param); ok {
		if other == array {
			return nil
		}
		return &cmdline.ValueError{
			Key: key, Value: value, Problem: "contradicts mlx4_core." + param + "=" + other,
			Fix: "write one of the two, on the command line or in the image's config",
		}
	}
	if array != "0,0" { // mlx4_core's default
		m.Params = append(
			m.Params,
			modload.Param{Module: "mlx4_core", Arg: cmdline.Arg{Key: param, Value: array, HasValue: true}},
		)
	}
	return nil
}

const portsFix = "write ib, eth or auto for all ports, or a word for each, such as ib,eth"

// portWords are the types as the command line has them.
func portWords(ports []PortType) string {
	words := make([]string, len(ports))
	for i, t := range ports {
		words[i] = t.String()
	}
	return strings.Join(words, ",")
}
