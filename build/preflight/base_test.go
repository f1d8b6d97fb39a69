package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// In an image that was made with a base, /init loads nodisk's modules, below a folder
// of their own, and the base's are its init's business.
func TestCheckBase(t *testing.T) {
	vendor := filepath.Join(t.TempDir(), "vendor.img")
	if err := os.WriteFile(vendor, archive(
		cpioFile{"usr/lib/modules/5.4.0-vendor", "", typeDir | 0o755},
		cpioFile{"usr/lib/modules/5.4.0-vendor/modules.dep", "kernel/x.ko:\n", typeFile | 0o644},
		cpioFile{"lib", "usr/lib", typeLink | 0o777},
		cpioFile{"init", "#!/bin/sh\nexec /bin/sh\n", typeFile | 0o755},
	), 0o600); err != nil {
		t.Fatal(err)
	}
	image := makeImage(t, "virt,iscsi,ext4", func(s *build.Spec) { s.Base = build.Base{Image: vendor, Chain: true} })
	at := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(at, image, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][]string{
		"root=ZFS=pool ip=dhcp":                {"/init.vendor after drivers and network", "virtio_net  ", "would boot\n"},
		"nodisk.chain= root=dhcp ip=dhcp":      {"iscsi_tcp", "ext4", "would boot\n"},
		"nodisk.chain=/init.wrong root=/dev/x": {"would not boot: ", "/init.wrong"},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(line), Image: openImage(t, image), Inventory: inventoryOf(t, virtual)})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := r.WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(text.String(), w) {
				t.Errorf("%s: no %q in:\n%s", line, w, text.String())
			}
		}
	}
	reports, err := build.Check(t.Context(), build.CheckSpec{Kernel: filepath.Join(kernelDir(t), "vmlinuz"), Image: at})
	if err != nil {
		t.Fatal(err)
	}
	if text := reports[0].Summary(0); len(reports) != 1 || reports[0].Faults() != 0 || strings.Contains(text, "checked 0 ") {
		t.Errorf("check of the image: %s, %v", text, reports)
	}
}
