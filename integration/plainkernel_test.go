package integration

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
)

func TestPlainKernel(t *testing.T) {
	needs(t, lab.BootSpec{Root: lab.RootNone, Static: true})
	l := sharedLab(t)
	other := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(other, []byte("no kernel at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := l.PlainKernel(t.Context(), other); got != other {
		t.Errorf("of a file that is not a kernel comes %s", got)
	}
	packed := filepath.Join(kernelDir(t), "vmlinuz")
	plain := l.PlainKernel(t.Context(), packed)
	if again := l.PlainKernel(t.Context(), packed); again != plain {
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
