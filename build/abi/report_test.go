package abi

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sortedPaths(m modules) []string { return slices.Sorted(maps.Keys(m)) }

func TestWriteText(t *testing.T) {
	r := Report{Subject: "a.img", Release: release, Modules: 4012, OutOfTree: 27, Findings: []Finding{
		{Severity: Fault, Module: "a", Path: "extra/a.ko", Text: "bad\x1b[31m", Remedy: "mend it"},
		{Severity: Fault, Module: "b", Text: "bad", Remedy: "mend it"},
		{Severity: Fault, Module: "c", Text: "bad", Remedy: "mend it"},
		{Severity: Warning, Module: "d", Text: "odd", Remedy: "look"},
		{Severity: Note, Text: "so"},
	}}
	var out strings.Builder
	if err := r.WriteText(&out, 2, 1900*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := `fault: a (extra/a.ko): bad?[31m
fault: b: bad
  remedy: mend it
... and 1 fault more, which --all lists
warning: d: odd
  remedy: look
note: so
checked 4,012 modules of 6.9.1-test in a.img (27 out of tree) in 1.9 s: 3 faults, 1 warning
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out.Reset()
	if err := r.WriteText(&out, 0, 0); err != nil || strings.Count(out.String(), "fault: ") != 3 {
		t.Errorf("all: %v\n%s", err, out.String())
	}
}

func TestParseKconfig(t *testing.T) {
	got, err := ParseKconfig(strings.NewReader("#\n# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x y\"\n\n"))
	if diff := cmp.Diff(Kconfig{"CONFIG_B": "y", "CONFIG_C": "x y"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := ParseKconfig(strings.NewReader("#!/bin/sh\necho\n")); err == nil ||
		!strings.Contains(err.Error(), "line 2") {
		t.Errorf("a script: %v", err)
	}
}

func FuzzParseKconfig(f *testing.F) {
	f.Add("# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x y\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseKconfig(strings.NewReader(text))
		if err != nil {
			return
		}
		for key := range c {
			if !strings.Contains(text, key) {
				t.Errorf("%q is not in the text", key)
			}
		}
	})
}

func FuzzCheckDep(f *testing.F) {
	f.Add("kernel/a.ko: kernel/b.ko\nkernel/b.ko:\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range CheckDep(text, func(string) bool { return false }) {
			if found.Path == "" && !strings.Contains(text, ":") {
				t.Errorf("%+v of %q", found, text)
			}
		}
		if found := CheckDep(text, func(string) bool { return true }); found != nil {
			t.Errorf("%+v, but all is there", found)
		}
	})
}

// A line that no such file has is named in plain words.
func TestParseKconfigLongLine(t *testing.T) {
	_, err := ParseKconfig(strings.NewReader("CONFIG_A=y\nCONFIG_B=" + strings.Repeat("x", 1<<20)))
	if err == nil || !strings.Contains(err.Error(), "line 2 is longer than 1024 KiB") {
		t.Errorf("error %v", err)
	}
}
