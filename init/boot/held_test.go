package boot

import (
	"testing"
)

func TestHeldSentence(t *testing.T) {
	const stall = "[<0>] msleep+0x2b/0x40\n[<0>] stall_probe+0x2e/0x50 [stall]\n[<0>] local_pci_probe+0x42/0x80\n" +
		"[<0>] pci_call_probe+0x5b/0x180\n[<0>] pci_device_probe+0x78/0x100\n"
	for name, tt := range map[string]struct {
		stacks []string
		want   string
	}{
		"nothing": {nil, ""},
		"a stack": {[]string{stall}, "in msleep < stall_probe [stall] < local_pci_probe < pci_call_probe"},
		"a wchan": {[]string{"folio_wait_bit_common"}, "in folio_wait_bit_common"},
		"unknown": {[]string{""}, "in a place that it does not name"},
		"no wait": {[]string{"0"}, "in a place that it does not name"},
		"same":    {[]string{stall, stall}, "in msleep < stall_probe [stall] < local_pci_probe < pci_call_probe"},
		"several": {[]string{"a", "b", "c", "d"}, "in a and in b and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := heldSentence(tt.stacks); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		most       int
	}{
		{"short", "short", 5},
		{"longer", "l ...", 5},
		{"aéééé", "a ...", 6},
		{"aééééé", "aé ...", 7},
	} {
		if got := clip(tt.text, tt.most); got != tt.want {
			t.Errorf("clip(%q, %d) = %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}
