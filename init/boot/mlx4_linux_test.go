package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestPortTypes(t *testing.T) {
	for value, want := range map[string]string{
		"ib": "port_type_array=1,1", "eth": "port_type_array=2,2", "ib,eth": "port_type_array=1,2", "eth, ib": "port_type_array=2,1",
		"auto": "", "auto,ib": "port_type_array=0,1",
	} {
		m, errs := plan.NewModulePlan(cmdline.Args{{Key: "nodisk.mlx4.port-type", Value: value, HasValue: true}}, nil)
		if errs != nil || m.Params.For("mlx4_core") != want {
			t.Errorf("%s: %q, %v, want %q", value, m.Params.For("mlx4_core"), errs, want)
		}
	}
}

// Two adapters, one of which has one port and no driver that could write to it.
func TestSensePorts(t *testing.T) {
	sys := t.TempDir()
	driver := filepath.Join(sys, "bus/pci/drivers/mlx4_core")
	device := filepath.Join(sys, "devices/0000:03:00.0")
	for _, dir := range []string{driver, device, filepath.Join(driver, "0000:04:00.0/mlx4_port1")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, port := range []string{"mlx4_port1", "mlx4_port2"} {
		if err := os.WriteFile(filepath.Join(device, port), []byte("ib\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(device, filepath.Join(driver, "0000:03:00.0")); err != nil {
		t.Fatal(err)
	}
	got := func() string {
		var text strings.Builder
		for _, port := range []string{"mlx4_port1", "mlx4_port2"} {
			data, err := os.ReadFile(filepath.Join(device, port))
			if err != nil {
				t.Fatal(err)
			}
			text.Write(data)
		}
		return text.String()
	}
	if errs := sensePorts(sys, []plan.PortType{plan.PortIB, plan.PortAuto}); errs != nil || got() != "ib\nauto\n" {
		t.Errorf("%v, the ports are %q", errs, got())
	}
	errs := sensePorts(sys, []plan.PortType{plan.PortAuto, plan.PortAuto})
	if len(errs) != 1 || got() != "auto\nauto\n" {
		t.Fatalf("%v, the ports are %q", errs, got())
	}
	if text := errs[0].Error(); !strings.Contains(text, "port 1 of the adapter at 0000:04:00.0") || !strings.Contains(text, "write ib or eth") {
		t.Error(text)
	}
}

func FuzzPortTypes(f *testing.F) {
	f.Add("ib", "1,1")
	f.Add("eth,auto", "")
	f.Add(",", "0,0")
	f.Add("ib,eth,ib", "2")
	f.Fuzz(func(t *testing.T, value, array string) {
		args := cmdline.Args{{Key: "nodisk.mlx4.port_type", Value: value, HasValue: true}}
		if array != "" {
			args = append(args, cmdline.Arg{Key: "mlx4_core.port_type_array", Value: array, HasValue: true})
		}
		var m plan.ModulePlan
		if err := m.SetPorts(args); err == nil && len(m.Ports) != plan.PortsMax {
			t.Errorf("%q gives %d ports", value, len(m.Ports))
		}
	})
}
