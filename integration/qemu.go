package integration

import (
	"cmp"
	"io"
	"strconv"
	"strings"
)

// machine is what QEMU is told of a node.
type machine struct {
	spec    BootSpec
	nics    []nic
	accel   string
	cmdline string
	// monitor is a Unix socket on which the lab listens: the machine connects
	// to it, takes orders (QMP), and does not start before it is told to.
	// Empty means none.
	monitor string
	// ibft is the file of BootSpec.IBFT, empty for none.
	ibft string
	// disk is the qcow2 file of a disk of its own, empty for none.
	disk string
	// orders is a Unix socket on which the lab listens: the machine's second
	// serial line. Empty means none.
	orders string
}

// A nic is one of a machine's: the tap it is connected to, and its address.
type nic struct {
	tap, mac string
	// near and far are the ends of a cable between two machines, sockets that
	// QEMU makes, in place of a tap: all frames pass, also those that a bridge
	// keeps for itself (LACP, spanning tree).
	near, far string
	// absent is one that is put in later: see monitor.insert.
	absent bool
	// firmware reports whether the node may boot from it.
	firmware bool
}

// args are QEMU's arguments for the nic of that number; options are added to
// the device.
func (n nic) args(number int, model, options string) []string {
	id := "n" + strconv.Itoa(number)
	back := "tap,id=" + id + ",ifname=" + n.tap + ",script=no,downscript=no"
	if n.tap == "" {
		back = "dgram,id=" + id + ",local.type=unix,local.path=" + n.near + ",remote.type=unix,remote.path=" + n.far
	}
	a := []string{"-netdev", back}
	if n.absent {
		return a
	}
	if n.tap == "" && model == NICVirtio {
		// Otherwise it has none, and LACP wants to know it (virtio specification,
		// VIRTIO_NET_F_SPEED_DUPLEX).
		options += ",speed=1000,duplex=full"
	}
	return append(a, "-device", model+",netdev="+id+",mac="+n.mac+options)
}

// machineArgs are the arguments that nodes and servers share. -nodefaults:
// nothing is in the machine that is not written here.
func machineArgs(name, arch, accel string, memory, cpus int, interactive bool) []string {
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
func (m machine) args() []string {
	a := machineArgs(m.spec.name(), m.spec.arch(), m.accel, m.spec.memory(), m.spec.cpus(), m.spec.Interactive)
	if m.spec.Icount {
		// An instruction is a nanosecond: guest time repeats to the millisecond
		// on any host, as far as the guest computes rather than waits.
		a = append(a, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on")
	} else {
		a = append(a, "-accel", m.accel)
	}
	for i, n := range m.nics {
		options := ",romfile="
		if n.firmware {
			options = ",bootindex=" + strconv.Itoa(i+1)
		}
		a = append(a, n.args(i, m.spec.nic(), options)...)
	}
	for _, device := range m.spec.Devices {
		a = append(a, "-device", device)
	}
	if m.monitor != "" {
		a = append(a, "-S", "-chardev", "socket,id=monitor,path="+m.monitor, "-mon", "chardev=monitor,mode=control")
	}
	if m.orders != "" {
		a = append(a, "-chardev", "socket,id=orders,path="+m.orders, "-serial", "chardev:orders")
	}
	if m.disk != "" {
		a = append(a, "-blockdev", blockdev("driver", "qcow2", "node-name", "disk", "file.driver", "file",
			"file.filename", m.disk),
			"-device", "virtio-blk-pci,drive=disk")
	}
	if m.ibft != "" {
		a = append(a, "-acpitable", "sig=iBFT,data="+m.ibft)
	}
	if m.spec.PXE {
		// Without graphics the firmware writes to the serial line.
		return append(a, "-machine", "pc,graphics=off")
	}
	board := cmp.Or(m.spec.Board, "pc")
	if m.spec.arch() == "arm64" {
		board = "virt"
	}
	return append(a, "-machine", board, "-kernel", m.spec.Kernel, "-initrd", m.spec.Image, "-append", m.cmdline)
}

// String is the command as a shell takes it, for those who want to repeat it.
func (m machine) String() string {
	var b strings.Builder
	b.WriteString(toolMachine(m.spec.arch()).name)
	for _, a := range m.args() {
		b.WriteByte(' ')
		if strings.ContainsAny(a, " '\"") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		b.WriteString(a)
	}
	return b.String()
}

// consoleWords begin a node's command line. A machine that is emulated beside
// others may miss the ticks by which the kernel checks its timer, and panics. The NICs
// have the kernel's names, by which tests call them: the one of the names says
// otherwise.
const consoleWords = "console=ttyS0,115200 panic=-1 no_timer_check net.ifnames=0 "

// consoleOf are the words that a node's command line begins with.
func consoleOf(arch string) string {
	if arch == "arm64" {
		return "console=ttyAMA0 panic=-1 net.ifnames=0 " // the PL011 of QEMU's board "virt"
	}
	return consoleWords
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
