package oldkernel

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Rule refuses calls.
type Rule struct {
	Call     uint32 // number of the call
	AndAbove bool   // and those of all higher numbers
	Args     []Arg  // all of them must be so; none: whatever they are
	// Errno is the answer. Zero: the call seems to succeed, and does nothing.
	Errno unix.Errno
}

// An Arg says what the low 32 bits of an argument are.
type Arg struct {
	Index int
	Mask  uint32 // of the bits that count
	Value uint32 // that they have
	// Any, in place of Value: at least one of them is set.
	Any bool
}

func is(index int, value uint32) Arg { return Arg{Index: index, Mask: 1<<32 - 1, Value: value} }

func has(index int, bits uint32) Arg { return Arg{Index: index, Mask: bits, Any: true} }

// What x/sys/unix does not name.
const (
	moduleFlags  = 1 | 2  // MODULE_INIT_IGNORE_MODVERSIONS, _VERMAGIC of <linux/module.h>
	ipprotoMPTCP = 262    // <linux/in.h>
	newMFD       = 8 | 16 // MFD_NOEXEC_SEAL, MFD_EXEC of <linux/memfd.h>
)

// Linux418 are the rules of Linux 4.18: no call of a higher number than rseq(2),
// which came with it, and of flags those that Go programs and /init use or might.
func Linux418() []Rule {
	return []Rule{
		{Call: unix.SYS_RSEQ + 1, AndAbove: true, Errno: unix.ENOSYS},
		// MODULE_INIT_COMPRESSED_FILE, Linux 5.17.
		{Call: unix.SYS_FINIT_MODULE, Args: []Arg{has(2, ^uint32(moduleFlags))}, Errno: unix.EINVAL},
		// Linux 5.4.
		{Call: unix.SYS_WAITID, Args: []Arg{is(0, unix.P_PIDFD)}, Errno: unix.EINVAL},
		// Linux 4.20.
		{Call: unix.SYS_SETSOCKOPT, Args: []Arg{is(1, unix.SOL_NETLINK), is(2, unix.NETLINK_GET_STRICT_CHK)},
			Errno: unix.ENOPROTOOPT},
		// Linux 5.6.
		{Call: unix.SYS_SOCKET, Args: []Arg{is(2, ipprotoMPTCP)}, Errno: unix.EPROTONOSUPPORT},
		// Linux 6.3.
		{Call: unix.SYS_MEMFD_CREATE, Args: []Arg{has(1, newMFD)}, Errno: unix.EINVAL},
		// Linux 6.1 and 5.17: for the Go runtime's memory.
		{Call: unix.SYS_MADVISE, Args: []Arg{is(2, unix.MADV_COLLAPSE)}, Errno: unix.EINVAL},
		{Call: unix.SYS_PRCTL, Args: []Arg{is(0, unix.PR_SET_VMA)}, Errno: unix.EINVAL},
	}
}

// Offsets in struct seccomp_data of <linux/seccomp.h>, on little-endian machines.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// program assembles the filter. The first rule that fits counts; calls of other
// ABIs (32-bit programs) pass.
func program(rules []Rule) ([]unix.SockFilter, error) {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("assemble seccomp filter: not for %s", runtime.GOARCH)
	}
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		answer = unix.BPF_RET | unix.BPF_K
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	)
	p := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: equal, K: arch, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	for _, r := range rules {
		compare := uint16(equal)
		if r.AndAbove {
			compare = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		}
		rule := []unix.SockFilter{{Code: load, K: offsetNumber}, {Code: compare, K: r.Call}}
		for _, a := range r.Args {
			rule = append(rule, unix.SockFilter{Code: load, K: offsetArgs + 8*uint32(a.Index)})
			if a.Any {
				rule = append(rule, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: a.Mask})
				continue
			}
			rule = append(rule, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: a.Mask},
				unix.SockFilter{Code: equal, K: a.Value})
		}
		rule = append(rule, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)})
		for i := range rule { // what does not fit goes on after the rule
			if rule[i].Code&7 == unix.BPF_JMP {
				rule[i].Jf = uint8(len(rule) - 1 - i)
			}
		}
		p = append(p, rule...)
	}
	return append(p, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW}), nil
}

// Install puts the rules on all threads of this process, and on what it starts
// and executes. It needs no rights; set-user-ID programs lose theirs.
func Install(rules []Rule) error {
	p, err := program(rules)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("set seccomp filter: %w", errno)
	case thread != 0:
		return errors.New("set seccomp filter: a thread has another one")
	}
	return nil
}
