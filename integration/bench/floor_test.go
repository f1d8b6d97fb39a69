package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nodisk/nodisk/integration/lab"
)

func TestFloorIsShown(t *testing.T) {
	r := result{Runs: []float64{0.95, 0.925, 0.924}, FloorRuns: []float64{0.9, 0.881, 0.88}}
	r.summarize()
	end := strings.Index(header(), "ratio") + len("ratio")
	if row := r.row("iscsi"); !strings.HasSuffix(row[:end], " 1.05x") {
		t.Errorf("below %q is %q, want 1.05x", header()[:end], row[:end])
	}
	if got := strings.Fields(r.row("iscsi"))[1:3]; !cmp.Equal(got, []string{"0.925", "0.881"}) {
		t.Errorf("nodisk and floor take %q, want the medians 0.925 and 0.881", got)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	if keys["floor_seconds"] != 0.881 || keys["floor_ratio"] != 1.05 {
		t.Errorf("%s, want floor_seconds 0.881 and floor_ratio 1.05", text)
	}
}

func TestNoFloorIsADash(t *testing.T) {
	r := result{Runs: []float64{0.2}}
	r.summarize()
	if got := strings.Fields(r.row("ram"))[1:4]; !cmp.Equal(got, []string{"0.200", "-", "-"}) {
		t.Errorf("got %q, want the time and two dashes", got)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "floor") {
		t.Errorf("%s names a floor, there is none", text)
	}
}

func TestFloorList(t *testing.T) {
	const (
		contents = "-rw-r--r--  1 /lib/modules/6.1/kernel/block/t10-pi.ko\n" +
			"-rw-r--r--  1 /lib/modules/6.1/kernel/fs/ext4.ko\n" +
			"-rw-r--r--  1 /lib/modules/6.1/kernel/fs/xfs.ko\n" +
			"-rw-r--r--  1 /lib/modules/6.1/modules.dep\n"
		console = "nodisk: module loaded module=ext4 took=\"5 ms\"\n[ 1.0] x\n" +
			"nodisk: module loaded module=t10_pi took=\"1 ms\"\n"
	)
	got, err := floorList(lab.RootISCSI, console, contents)
	if err != nil {
		t.Fatal(err)
	}
	want := "iscsi\n/lib/modules/6.1/kernel/fs/ext4.ko\n/lib/modules/6.1/kernel/block/t10-pi.ko\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for name, console := range map[string]string{
		"no module": "nodisk: mounts (1/7)\n", "one that is not in the image": "module loaded module=btrfs took=1\n",
	} {
		if _, err := floorList(lab.RootISCSI, console, contents); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFloorBesideTheScenariosOfTheBars(t *testing.T) {
	var got []string
	for _, s := range scenarios() {
		if s.floor {
			got = append(got, s.name)
		}
	}
	if diff := cmp.Diff([]string{"iscsi", "iscsi-unsigned", "nfs3", "nfs4"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
