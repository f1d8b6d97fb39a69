package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// How long the two probes of KVM may take. Where it works, both are done in a
// fraction of that. On nested hosts /dev/kvm may exist and a guest hang in the
// firmware or, later, in the kernel's first instructions.
const (
	probeFirmware = 2 * time.Second
	probeKernel   = 10 * time.Second
)

// bootSector is a boot sector that leaves the machine by isa-debug-exit with
// status (0x10 << 1) | 1.
func bootSector() []byte {
	b := make([]byte, 512)
	copy(b, []byte{
		0xba, 0xf4, 0x00, // mov dx, 0xf4
		0xb0, 0x10, //       mov al, 0x10
		0xee,       //       out dx, al
		0xf4,       //       hlt
		0xeb, 0xfd, //       jmp to the hlt
	})
	b[510], b[511] = 0x55, 0xaa
	return b
}

const probeStatus = 0x10<<1 | 1

// Acceleration returns "kvm" where a guest really boots with it, "tcg"
// elsewhere. The answer is found once.
func (l *Lab) Acceleration(ctx context.Context, kernel string) string {
	l.once.accel.Do(func() {
		if l.accel = l.conf.Accel; l.accel != "" {
			return
		}
		began := time.Now()
		l.accel = "kvm"
		if err := l.probeKVM(ctx, kernel); err != nil {
			l.Log().Info("no KVM, nodes run emulated (tcg)", "because", err, "probe",
				time.Since(began).Round(time.Millisecond))
			l.accel = "tcg"
		}
	})
	return l.accel
}

// accelerationOf is that of a node; another architecture's can only be emulated.
func (l *Lab) accelerationOf(ctx context.Context, s BootSpec) string {
	if s.arch() != "amd64" {
		return "tcg"
	}
	return l.Acceleration(ctx, s.Kernel)
}

func (l *Lab) probeKVM(ctx context.Context, kernel string) error {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_ = f.Close()
	sector := l.Path("probe.img")
	if err := os.WriteFile(sector, bootSector(), 0o600); err != nil {
		return err
	}
	base := []string{"-accel", "kvm", "-cpu", "host", "-display", "none", "-nodefaults", "-no-reboot"}
	err = l.probe(ctx, "boot a sector", probeFirmware, probeStatus, append(base, "-m", "16",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", "if=ide,format=raw,file="+sector)...)
	if err != nil {
		return err
	}
	// A kernel without a root panics, and panic=-1 is a reboot, which -no-reboot
	// makes an end.
	return l.probe(ctx, "boot the kernel", probeKernel, 0, append(base, "-m", "512",
		"-kernel", kernel, "-append", "panic=-1")...)
}

func (l *Lab) probe(ctx context.Context, what string, limit time.Duration, want int, args ...string) error {
	p, err := tool.Start(ctx, tool.QEMU(), nil, args...)
	if err != nil {
		return err
	}
	defer p.Stop()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.Done:
		if got := tool.ExitStatus(p.Err); got != want {
			return fmt.Errorf("%s: status %d, want %d: %s", what, got, want, transcript.Tail(p.Out.String(), 3))
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("%s: no end within %v", what, limit)
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s", what), context.Cause(ctx))
	}
}
