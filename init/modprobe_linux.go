package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/init/cmdline"
)

// The kernel asks for modules itself: request_module("nfsv3"), "fs-ext4",
// "crypto-crc32c". It runs the program named in /proc/sys/kernel/modprobe as
// "PROGRAM -q -- NAME" (kernel/kmod.c). In the initramfs that program is
// /init, so that a file system or a cipher nobody thought of is still found.
//
// Not before the profiles' modules are loaded, though: those are complete, and
// what they ask for while they load (crc64_rocksoft wants to know who else
// computes it) mostly does not exist. Each such question costs a process.

const modprobeSysctl = "/proc/sys/kernel/modprobe"

// upcallTimeout bounds one request: the kernel thread that made it waits.
const upcallTimeout = 30 * time.Second

// moduleRequests takes the kernel's requests over, and gives them back: the
// root's init must find its own modprobe in the sysctl again. The zero value
// is ready.
type moduleRequests struct {
	mu     sync.Mutex
	before []byte // of the sysctl; nil: not taken over
}

// serve names this program to the kernel. A second call does nothing.
func (m *moduleRequests) serve() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before != nil {
		return nil
	}
	before, err := os.ReadFile(modprobeSysctl)
	if os.IsNotExist(err) { // a kernel without CONFIG_MODULES
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", modprobeSysctl, err)
	}
	if strings.TrimSpace(string(before)) == "/init" { // a worker before us crashed
		before = []byte("/sbin/modprobe")
	}
	if err := os.WriteFile(modprobeSysctl, []byte("/init"), 0); err != nil {
		return fmt.Errorf("serve the kernel's module requests: %w", err)
	}
	m.before = before
	return nil
}

func (m *moduleRequests) restore() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before == nil {
		return nil
	}
	if err := os.WriteFile(modprobeSysctl, m.before, 0); err != nil {
		return fmt.Errorf("give the kernel's module requests back: %w", err)
	}
	m.before = nil
	return nil
}

// modprobe serves one request. A name that the image does not have is no
// matter for the console: the kernel asks for many that do not exist.
func modprobe(names []string) {
	ctx, cancel := context.WithTimeout(context.Background(), upcallTimeout)
	defer cancel()
	if err := modprobeAll(ctx, names); err != nil {
		report(debugPriority, "the kernel asks for %s: %v", strings.Join(names, " "), err)
		leave(1)
	}
	leave(0)
}

func modprobeAll(ctx context.Context, names []string) error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the command line: %w", err)
	}
	m, _ := newModulePlan(cmdline.Parse(string(line)), nil) // the worker has reported what is wrong with it
	_, loader, err := openModules(Plan{Modules: m}, nil)
	if err != nil {
		return err
	}
	if len(names) > 0 && names[0] == "--" {
		names = names[1:]
	}
	return loader.Load(ctx, names...)
}
