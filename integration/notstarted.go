package integration

import (
	"slices"
	"strings"
)

// NotStarted is a machine that QEMU did not make: it cannot use what it was told.
type NotStarted struct{ Why string }

func (e *NotStarted) Error() string { return "QEMU did not start: " + e.Why }

// refused is why QEMU, which has ended by itself, made no machine; empty if there was one.
func (n *node) refused() string {
	if exitStatus(n.p.err) == 0 {
		return ""
	}
	return refusedBy(toolMachine(n.m.spec.arch()).name, n.m.args(), n.p.out.String())
}

// refusedBy finds QEMU's reason in what it wrote, without the argument it is about
// (error_report in util/qemu-error.c). Empty: something else wrote too, the machine ran.
func refusedBy(program string, args []string, said string) string {
	var whys []string
	for text := range strings.Lines(said) {
		text = strings.TrimSpace(text)
		why, own := strings.CutPrefix(text, program+": ")
		switch {
		case text == "" || strings.HasPrefix(why, "warning: "), strings.HasPrefix(text, "Could not access KVM"):
			continue
		case !own:
			return ""
		}
		for i := range len(args) - 1 {
			why = strings.TrimPrefix(why, args[i]+" "+args[i+1]+": ")
		}
		if !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	return strings.Join(whys, "; ")
}
