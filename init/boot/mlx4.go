package boot

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A portType is what a port of a Mellanox VPI adapter becomes, numbered as in
// enum mlx4_port_type of include/linux/mlx4/device.h.
type portType byte

const (
	portIB   portType = iota + 1
	portEth           // Ethernet
	portAuto          // what is found at the other end
)

// String is the word of the command line.
func (t portType) String() string {
	switch t {
	case portIB:
		return "ib"
	case portEth:
		return "eth"
	case portAuto:
		return "auto"
	}
	return "unknown"
}

// digit is the element of port_type_array= for it. That has none for auto: 0 is
// what the firmware suggests, until sensePorts.
func (t portType) digit() byte {
	if t == portAuto {
		return '0'
	}
	return '0' + byte(t)
}

// portsMax is MLX4_MAX_PORTS.
const portsMax = 2

// setPorts reads nodisk.mlx4.port_type= and makes a module parameter of it. One
// word is for all ports. The parameter written out besides must say the same:
// which of the two is meant is not for nodisk to guess.
func (m *ModulePlan) setPorts(args cmdline.Args) error {
	const key, param = "nodisk.mlx4.port_type", "port_type_array"
	value, ok := args.Last(key)
	if !ok {
		if args.Has(key) {
			return &cmdline.ValueError{Key: key, Problem: "is empty", Fix: portsFix}
		}
		return nil
	}
	var ports []portType
	for word := range strings.SplitSeq(value, ",") {
		types := []portType{portIB, portEth, portAuto}
		i := slices.IndexFunc(types, func(t portType) bool { return t.String() == strings.TrimSpace(word) })
		switch {
		case i < 0:
			return &cmdline.ValueError{Key: key, Value: value, Problem: `"` + word + `" is not a type of port`, Fix: portsFix}
		case len(ports) == portsMax:
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
		m.Params = append(m.Params, modload.Param{Module: "mlx4_core", Arg: cmdline.Arg{Key: param, Value: array, HasValue: true}})
	}
	return nil
}

const portsFix = "write ib, eth or auto for all ports, or a word for each, such as ib,eth"

// portWords are the types as the command line has them.
func portWords(ports []portType) string {
	words := make([]string, len(ports))
	for i, t := range ports {
		words[i] = t.String()
	}
	return strings.Join(words, ",")
}
