package lab

import (
	"cmp"
	"io"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/integration/tool"
)

// Machine is what QEMU is told of a node.
type Machine struct {
	Spec    BootSpec
	NICs    []NIC
	Accel   string
	Cmdline string
	// Monitor is a Unix socket on which the lab listens: the machine connects
	// to it, takes orders (QMP), and does not start before it is told to.
	// Empty means none.
	Monitor string
	// ibft is the file of BootSpec.IBFT, empty for none.
	ibft string
	// disk is the qcow2 file of a disk of its own, empty for none.
	disk string
	// Orders is a Unix socket on which the lab listens: the machine's second
	// serial line. Empty means none.
	Orders string
}

// A NIC is one of a machine's: the tap it is connected to, and its address.
type NIC struct {
	Tap, MAC string
	// Near and far are the ends of a cable between two machines, sockets that
	// QEMU makes, in place of a tap: all frames pass, also those that a bridge
	// keeps for itself (LACP, spanning tree).
	Near, Far string
	// Absent is one that is put in later: see [Monitor.Insert].
	Absent bool
	// firmware reports whether the node may boot from it.
	firmware bool
}

// Args are QEMU's arguments for the nic of that number; options are added to
// the device.
func (n NIC) Args(number int, model, options string) []string {
	id := "n" + strconv.Itoa(number)
	back := "tap,id=" + id + ",ifname=" + n.Tap + ",script=no,downscript=no"
	if n.Tap == "" {
		back = "dgram,id=" + id + ",local.type=unix,local.path=" + n.Near + ",remote.type=unix,remote.path=" + n.Far
	}
	a := []string{"-netdev", back}
	if n.Absent {
		return a
	}
	if n.Tap == "" && model == NICVirtio {
		// Otherwise it has none, and LACP wants to know it (virtio specification,
		// VIRTIO_NET_F_SPEED_DUPLEX).
		options += ",speed=1000,duplex=full"
	}
	return append(a, "-device", model+",netdev="+id+",mac="+n.MAC+options)
}

// MachineArgs are the arguments that nodes and servers share. -nodefaults:
// nothing is in the machine that is not written here.
func MachineArgs(name, arch, accel string, memory, cpus int, interactive bool) []string {
	line := "stdio,id=console,signal=off"
	if interactive {
		line += ",mux=on" // QEMU's keys: Ctrl-a x
	}
	cpu := "host"
	switch {
	case arch == "arm64":
		cpu = "cortex-a57"
	case accel != "kvm":
		// The emulator's own CPU has no random numbers, every real one of the
		// last ten years does; without them a Go program waits for entropy.
		cpu = "qemu64,+rdrand"
	}
	return []string{
		"-name", name, "-nodefaults", "-display", "none", "-no-reboot",
		"-cpu", cpu, "-m", strconv.Itoa(memory), "-smp", strconv.Itoa(cpus),
		"-chardev", line, "-serial", "chardev:console",
	}
}

// args are QEMU's arguments.
func (m Machine) args() []string {
	a := MachineArgs(m.Spec.name(), m.Spec.arch(), m.Accel, m.Spec.memory(), m.Spec.cpus(), m.Spec.Interactive)
	if m.Spec.Icount {
		// An instruction is a nanosecond: guest time repeats to the millisecond
		// on any host, as far as the guest computes rather than waits.
		a = append(a, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on")
	} else {
		a = append(a, "-accel", m.Accel)
	}
	for i, n := range m.NICs {
		options := ",romfile="
		if n.firmware {
			options = ",bootindex=" + strconv.Itoa(i+1)
		}
		a = append(a, n.Args(i, m.Spec.nic(), options)...)
	}
	for _, device := range m.Spec.Devices {
		a = append(a, "-device", device)
	}
	if m.Monitor != "" {
		a = append(a, "-S", "-chardev", "socket,id=monitor,path="+m.Monitor, "-mon", "chardev=monitor,mode=control")
	}
	if m.Orders != "" {
		a = append(a, "-chardev", "socket,id=orders,path="+m.Orders, "-serial", "chardev:orders")
	}
	if m.disk != "" {
		a = append(a, "-blockdev", blockdev("driver", "qcow2", "node-name", "disk", "file.driver", "file",
			"file.filename", m.disk),
			"-device", "virtio-blk-pci,drive=disk")
	}
	if m.ibft != "" {
		a = append(a, "-acpitable", "sig=iBFT,data="+m.ibft)
	}
	if m.Spec.PXE {
		// Without graphics the firmware writes to the serial line.
		return append(a, "-machine", "pc,graphics=off")
	}
	board := cmp.Or(m.Spec.Board, "pc")
	if m.Spec.arch() == "arm64" {
		board = "virt"
	}
	return append(a, "-machine", board, "-kernel", m.Spec.Kernel, "-initrd", m.Spec.Image, "-append", m.Cmdline)
}

// String is the command as a shell takes it, for those who want to repeat it.
func (m Machine) String() string {
	var b strings.Builder
	b.WriteString(tool.QEMUFor(m.Spec.arch()).Name)
	for _, a := range m.args() {
		b.WriteByte(' ')
		if strings.ContainsAny(a, " '\"") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		b.WriteString(a)
	}
	return b.String()
}

// ConsoleWords begin a node's command line. A machine that is emulated beside
// others may miss the ticks by which the kernel checks its timer, and panics. The NICs
// have the kernel's names, by which tests call them: the one of the names says
// otherwise.
const ConsoleWords = "console=ttyS0,115200 panic=-1 no_timer_check net.ifnames=0 "

// consoleOf are the words that a node's command line begins with.
func consoleOf(arch string) string {
	if arch == "arm64" {
		return "console=ttyAMA0 panic=-1 net.ifnames=0 " // the PL011 of QEMU's board "virt"
	}
	return ConsoleWords
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

// blockdev joins the options of a block device of QEMU's, names and values in turn. A comma
// in a value is written twice.
func blockdev(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i] + "=" + strings.ReplaceAll(pairs[i+1], ",", ",,"))
	}
	return b.String()
}
