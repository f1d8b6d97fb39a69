package link

import (
	"testing"
)

func TestParseGID(t *testing.T) {
	for s, want := range map[string]HardwareAddr{
		"fe80:0000:0000:0000:0002:c903:0000:1039\n": guideAddr[4:], "": "", "fe80::1": "", "fe80:0000:0000:0000:0002:c903:0000:103x": "",
	} {
		if got := parseGID(s); got != want {
			t.Errorf("%q is %v", s, got)
		}
	}
}
