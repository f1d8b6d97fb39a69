package integration

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlainKernel(t *testing.T) {
	needs(t, BootSpec{Root: RootNone, Static: true})
	l := sharedLab(t)
	other := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(other, []byte("no kernel at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := l.plainKernel(t.Context(), other); got != other {
		t.Errorf("of a file that is not a kernel comes %s", got)
	}
	packed := filepath.Join(kernelDir(t), "vmlinuz")
	plain := l.plainKernel(t.Context(), packed)
	if again := l.plainKernel(t.Context(), packed); again != plain {
		t.Errorf("it is unpacked twice: %s, %s", plain, again)
	}
	f, err := elf.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if f.Machine != elf.EM_X86_64 {
		t.Errorf("the plain kernel is for %v", f.Machine)
	}
}

// A vmlinux without the note is left to the bzImage.
func TestEnteredByPVH(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := enteredByPVH(self); err == nil || !strings.Contains(err.Error(), "CONFIG_PVH") {
		t.Errorf("a program that is not a kernel: %v", err)
	}
}
