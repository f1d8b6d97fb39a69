package lab

import (
	"os"
	"strings"
	"testing"
)

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
