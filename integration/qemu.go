package integration

import (
	"io"
	"strconv"
	"strings"
)

// machine is what QEMU is told of a node.
type machine struct {
	spec    BootSpec
	net     *network
	accel   string
	cmdline string
}

// args are QEMU's arguments. -nodefaults: nothing is in the machine that is
// not written here.
func (m machine) args() []string {
	cpu := "host"
	if m.accel != "kvm" {
		// The emulator's own CPU has no random numbers, every real one of the
		// last ten years does; without them a Go program waits for entropy.
		cpu = "qemu64,+rdrand"
	}
	a := []string{
		"-name", m.spec.name(), "-nodefaults", "-display", "none", "-no-reboot",
		"-cpu", cpu, "-m", strconv.Itoa(m.spec.memory()), "-smp", strconv.Itoa(m.spec.cpus()),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
	}
	if m.spec.Icount {
		// An instruction is a nanosecond: guest time repeats to the millisecond
		// on any host, as far as the guest computes rather than waits.
		a = append(a, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on")
	} else {
		a = append(a, "-accel", m.accel)
	}
	for i, tap := range m.net.taps {
		id := "n" + strconv.Itoa(i)
		dev := m.spec.nic() + ",netdev=" + id + ",mac=" + m.net.mac(i)
		if m.spec.PXE {
			dev += ",bootindex=" + strconv.Itoa(i+1)
		} else {
			dev += ",romfile="
		}
		a = append(a, "-netdev", "tap,id="+id+",ifname="+tap+",script=no,downscript=no", "-device", dev)
	}
	if m.spec.PXE {
		// Without graphics the firmware writes to the serial line.
		return append(a, "-machine", "pc,graphics=off")
	}
	return append(a, "-machine", "pc", "-kernel", m.spec.Kernel, "-initrd", m.spec.Image, "-append", m.cmdline)
}

// String is the command as a shell takes it, for those who want to repeat it.
func (m machine) String() string {
	var b strings.Builder
	b.WriteString(toolQEMU().name)
	for _, a := range m.args() {
		b.WriteByte(' ')
		if strings.ContainsAny(a, " '\"") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		b.WriteString(a)
	}
	return b.String()
}

// consoles joins the places where a node's console is copied to; nil when
// there are none.
func consoles(ws ...io.Writer) io.Writer {
	var have []io.Writer
	for _, w := range ws {
		if w != nil {
			have = append(have, w)
		}
	}
	if len(have) == 0 {
		return nil
	}
	return io.MultiWriter(have...)
}
