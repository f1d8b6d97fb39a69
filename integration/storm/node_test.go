package storm

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
)

func TestMachine(t *testing.T) {
	c := Case{Fault: DriverHangs}
	text := lab.Machine{Spec: lab.BootSpec{Devices: c.devices()}, Orders: "/o"}.String()
	for _, want := range []string{"-device i6300esb", "-chardev socket,id=orders,path=/o -serial chardev:orders"} {
		if !strings.Contains(text, want) {
			t.Errorf("the machine has no %q: %s", want, text)
		}
	}
}
