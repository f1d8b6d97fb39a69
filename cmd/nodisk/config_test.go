package main

import (
	"slices"
	"strings"
	"testing"
)

// A config or a command line that leaves the root to the other one is judged with a
// root that it can have.
func TestConfigWithoutRoot(t *testing.T) {
	for config, want := range map[string]string{
		"ip=dhcp\n":                             "(if the command line says root=dhcp)\n",
		"ip=10.0.0.5::10.0.0.1:24::eth0:none\n": "(if the command line says root=nfs:192.0.2.1:/root)\n",
		"root=dhcp\n":                           "root       what DHCP's root-path says",
		"boot=nfs\n":                            "root       the NFS export of DHCP's root-path",
	} {
		var out strings.Builder
		if err := printPlan(&out, strings.NewReader(config)); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: %v\n%s", config, err, out.String())
		}
		if warnings, err := checkConfig(strings.NewReader(config)); err != nil || warnings != nil {
			t.Errorf("%s: %v, %q", config, err, warnings)
		}
		if warnings, err := checkCmdline(strings.TrimSpace(config)); err != nil || warnings != nil {
			t.Errorf("%s: %v, %q", config, err, warnings)
		}
	}
	if _, err := checkConfig(strings.NewReader("ip=off\n")); err == nil ||
		!strings.Contains(err.Error(), "out of reach") {
		t.Errorf("ip=off: %v", err)
	}
}

// build says of an unknown key what plan says.
func TestConfigWarnings(t *testing.T) {
	warnings, err := checkConfig(strings.NewReader("nodisk.onfial=reboot\n"))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "nodisk.onfial") ||
		!strings.Contains(warnings[0], "did you mean nodisk.onfail?") {
		t.Errorf("%q, %v", warnings, err)
	}
	p, err := checkCmdline("root=dhcp nodisk.onfial=reboot")
	if err != nil || !slices.Contains(p, warnings[0]) {
		t.Errorf("plan says %q, %v", p, err)
	}
}
