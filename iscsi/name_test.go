package iscsi

import (
	"strings"
	"testing"
)

func TestInitiatorName(t *testing.T) {
	const uuid = "4C4C4544-0042-3510-8054-B4C04F4A3132"
	file := "## comment\nGenerateName=yes\nInitiatorName = iqn.2026-01.org.example:file\n"
	for _, tt := range []struct {
		name         string
		in           NameSource
		want, source string
	}{
		{
			"command line",
			NameSource{"iqn.2026-01.org.example:cmdline", "iqn.2026-01.x:ibft", "iqn.2026-01.x:dhcp", file, "h", uuid,
				"52:54:00:00:00:01"},
			"iqn.2026-01.org.example:cmdline", "rd.iscsi.initiator",
		},
		{"iBFT", NameSource{IBFT: "iqn.2026-01.x:ibft", DHCP: "iqn.2026-01.x:dhcp", File: file}, "iqn.2026-01.x:ibft",
			"iBFT"},
		{"DHCP", NameSource{DHCP: "iqn.2026-01.x:dhcp\n", File: file}, "iqn.2026-01.x:dhcp", "DHCP option 203"},
		{"file", NameSource{File: file, Hostname: "node1"}, "iqn.2026-01.org.example:file",
			"/etc/iscsi/initiatorname.iscsi"},
		{"command line, of no kind", NameSource{CommandLine: "node7", Hostname: "node1"}, "node7",
			"rd.iscsi.initiator"},
		{"host name", NameSource{File: "# none", Hostname: "node1", UUID: uuid}, "iqn.2010-04.org.ipxe:node1",
			"host name"},
		{"no host name yet", NameSource{Hostname: "(none)", UUID: uuid + "\n"},
			"iqn.2010-04.org.ipxe:4c4c4544-0042-3510-8054-b4c04f4a3132", "DMI UUID"},
		{"localhost", NameSource{Hostname: "localhost.localdomain", UUID: uuid},
			"iqn.2010-04.org.ipxe:4c4c4544-0042-3510-8054-b4c04f4a3132", "DMI UUID"},
		{"interface address", NameSource{UUID: "Not Settable", MAC: "52:54:00:AB:cd:ef"},
			"iqn.2010-04.org.ipxe:52-54-00-ab-cd-ef", "interface address"},
	} {
		got, source, err := InitiatorName(tt.in)
		if err != nil || got != tt.want || source != tt.source {
			t.Errorf("%s: %q from %q, %v; want %q from %q", tt.name, got, source, err, tt.want, tt.source)
		}
	}
	for want, in := range map[string]NameSource{
		"initiator name from rd.iscsi.initiator": {CommandLine: "node 1", Hostname: "node1"},
		"is none of iqn":                         {DHCP: "node1", Hostname: "node1"},
		"holds a space":                          {DHCP: "iqn.2026-01.x:a b"},
		"from the host name":                     {Hostname: "node 1"},
		"no initiator name":                      {},
		"unique per machine":                     {UUID: "03000200-0400-0500-0006-000700080009"},
		"DMI UUID":                               {UUID: "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"},
		"bytes long":                             {CommandLine: "iqn." + strings.Repeat("x", 220)},
		"give rd.iscsi":                          {UUID: "Not Settable"},
		`"iqn.2026-01.x:\x1b[2J" holds`:          {DHCP: "iqn.2026-01.x:\x1b[2J"},
		`x:\u009b31m" holds`:                     {DHCP: "iqn.2026-01.x:\u009b31m"},
		`x:\xff" holds`:                          {IBFT: "iqn.2026-01.x:\xff"},
		`x:a\nb" holds`:                          {DHCP: "iqn.2026-01.x:a\nb"},
	} {
		if got, _, err := InitiatorName(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("InitiatorName(%+v) = %q, %v; want an error with %q", in, got, err, want)
		}
	}
}

func TestDeriveISID(t *testing.T) {
	a := DeriveISID("iqn.2026-01.x:a", Portal{"10.0.0.1", 3260})
	if a != DeriveISID("iqn.2026-01.x:a", Portal{"10.0.0.1", 3260}) || a.String() != "00023da19c0b" {
		t.Errorf("not stable: %v", a)
	}
	for _, b := range []ISID{
		DeriveISID("iqn.2026-01.x:b", Portal{"10.0.0.1", 3260}),
		DeriveISID("iqn.2026-01.x:a", Portal{"10.0.0.2", 3260}),
		DeriveISID("iqn.2026-01.x:a", Portal{"10.0.0.1", 3261}),
	} {
		if a == b || b[0] != 0 || b[1] != 2 || b[2] != 0x3d {
			t.Errorf("%v and %v", a, b)
		}
	}
}
