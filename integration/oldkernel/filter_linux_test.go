package oldkernel

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Every rule bites, and what is beside it does not: the error that this kernel
// gives is another, or none.
func TestLinux418(t *testing.T) {
	Under(t, Linux418(), func(t *testing.T) {
		call := func(number uintptr, args ...uintptr) error {
			var a [6]uintptr
			copy(a[:], args)
			if _, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
		const bad = ^uintptr(0) // descriptor -1
		size := os.Getpagesize()
		memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		memory[0] = 'x' // a name, and a zero
		at, length := uintptr(unsafe.Pointer(&memory[0])), uintptr(size)
		for what, tt := range map[string]struct {
			got  error
			want unix.Errno // zero: none
		}{
			"openat2":           {call(unix.SYS_OPENAT2, bad, at, at, 24), unix.ENOSYS},
			"pidfd_send_signal": {call(unix.SYS_PIDFD_SEND_SIGNAL, bad), unix.ENOSYS},
			"pidfd_open":        {call(unix.SYS_PIDFD_OPEN, uintptr(os.Getpid()), 0), unix.ENOSYS},
			"fsopen":            {call(unix.SYS_FSOPEN, at, 0), unix.ENOSYS},
			"move_mount":        {call(unix.SYS_MOVE_MOUNT, bad, at, bad, at, 0), unix.ENOSYS},
			"open_tree":         {call(unix.SYS_OPEN_TREE, bad, at, 0), unix.ENOSYS},
			"close_range":       {call(unix.SYS_CLOSE_RANGE, 1000, 1001, 0), unix.ENOSYS},
			"clone3":            {call(unix.SYS_CLONE3, 0, 0), unix.ENOSYS},
			"faccessat2":        {call(unix.SYS_FACCESSAT2, bad, at, 0, 0), unix.ENOSYS},
			"epoll_pwait2":      {call(unix.SYS_EPOLL_PWAIT2, bad), unix.ENOSYS},
			"io_uring_setup":    {call(unix.SYS_IO_URING_SETUP, 1, 0), unix.ENOSYS},
			"fchmodat2":         {call(unix.SYS_FCHMODAT2, bad, at, 0o600, 0), unix.ENOSYS},
			"rseq is of 4.18":   {call(unix.SYS_RSEQ, 1, 1, 0, 0), unix.EINVAL},
			"statx is older":    {call(unix.SYS_STATX, bad, at, 0, 0, 0), unix.EBADF},

			"finit_module, compressed": {call(unix.SYS_FINIT_MODULE, bad, at, 4), unix.EINVAL},
			"waitid, pidfd":            {call(unix.SYS_WAITID, unix.P_PIDFD, bad, 0, unix.WEXITED), unix.EINVAL},
			"waitid, child": {call(unix.SYS_WAITID, unix.P_ALL, 0, 0, unix.WEXITED|unix.WNOHANG),
				unix.ECHILD},
			"strict checks of netlink": {call(unix.SYS_SETSOCKOPT, bad, unix.SOL_NETLINK,
				unix.NETLINK_GET_STRICT_CHK, at, 4), unix.ENOPROTOOPT},
			"extended answers of netlink": {call(unix.SYS_SETSOCKOPT, bad, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, at,
				4), unix.EBADF},
			"the number on another level": {call(unix.SYS_SETSOCKOPT, bad, unix.SOL_SOCKET,
				unix.NETLINK_GET_STRICT_CHK, at, 4), unix.EBADF},
			"multipath TCP": {call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, ipprotoMPTCP),
				unix.EPROTONOSUPPORT},
			"TCP": {call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM,
				unix.IPPROTO_TCP), 0},
			"memfd_create, not executable": {call(unix.SYS_MEMFD_CREATE, at, newMFD/2), unix.EINVAL},
			"memfd_create":                 {call(unix.SYS_MEMFD_CREATE, at, unix.MFD_CLOEXEC), 0},
			"collapse memory":              {call(unix.SYS_MADVISE, at, length, unix.MADV_COLLAPSE), unix.EINVAL},
			"advice on memory":             {call(unix.SYS_MADVISE, at, length, unix.MADV_NORMAL), 0},
			"name memory": {call(unix.SYS_PRCTL, unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME, at,
				length, at), unix.EINVAL},
		} {
			if tt.want == 0 && tt.got != nil || tt.want != 0 && !errors.Is(tt.got, tt.want) {
				t.Errorf("%s: %v, want %v", what, tt.got, tt.want)
			}
		}
	})
}

// The first rule that fits counts, and zero is a success that does nothing.
func TestRulesInOrder(t *testing.T) {
	Under(t, []Rule{
		{Call: unix.SYS_FINIT_MODULE, Args: []Arg{has(2, 4)}, Errno: unix.EINVAL},
		{Call: unix.SYS_FINIT_MODULE},
	}, func(t *testing.T) {
		if err := unix.FinitModule(-1, "", 4); !errors.Is(err, unix.EINVAL) {
			t.Errorf("the first: %v, want %v", err, unix.EINVAL)
		}
		if err := unix.FinitModule(-1, "", 0); err != nil {
			t.Errorf("the second: %v, want none", err)
		}
	})
}
