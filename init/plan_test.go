package boot

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// Golden files are rewritten by `go test ./init -update`.
func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	if scenario := os.Getenv(scenarioEnv); scenario != "" {
		machine(scenario) // the test binary is /init: see there
	}
	flag.Bool("update", false, "rewrite the golden files")
	os.Exit(m.Run()) //nolint:forbidigo // The way a test binary ends.
}

// Every file testdata/plan/*.txt holds "line: " and "config: " rows, an empty
// row, and what they mean.
func TestNewPlan(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(text), "\n\n")
			var line string
			var config strings.Builder
			for row := range strings.Lines(head) {
				key, value, _ := strings.Cut(strings.TrimSuffix(row, "\n"), ": ")
				switch key {
				case "line":
					line = value
				case "config":
					config.WriteString(value + "\n")
				default:
					t.Fatalf("row %q is neither line nor config", row)
				}
			}
			conf, err := cmdline.ParseConfig(strings.NewReader(config.String()))
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewPlan(cmdline.Parse(line), conf)
			got := p.String()
			if err != nil {
				got = err.Error() + "\npolicy: " + p.Policy.OnFail.String() + "\n"
			}
			if update() {
				if err := os.WriteFile(file, []byte(head+"\n\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzNewPlan(f *testing.F) {
	f.Add("root=iscsi:10.0.0.1::::iqn.2026-01.test:a ip=dhcp", "nodisk.profile=virt,iscsi")
	f.Add("root=/dev/nfs nfsroot=10.0.0.1:/srv/%s,vers=3 ip=10.0.0.5::10.0.0.1:24:n:eth0:none", "")
	f.Add(`root=LABEL="a b" netroot=dhcp nodisk.onfail=halt rd.iscsi.target.ip=::1`, "rd.neednet")
	f.Fuzz(func(t *testing.T, line, config string) {
		conf, err := cmdline.ParseConfig(strings.NewReader(config))
		if err != nil {
			return
		}
		p, err := NewPlan(cmdline.Parse(line), conf)
		if p.Policy.OnFail < OnFailRetry || p.Policy.OnFail > OnFailShell {
			t.Errorf("no policy: %v", p.Policy)
		}
		if err == nil && p.String() == "" {
			t.Error("an empty plan")
		}
	})
}

func TestByTarget(t *testing.T) {
	var named []iscsi.Target
	for _, spec := range []string{
		"10.0.0.1::::iqn.2026-01.test:a", "10.0.0.2::::iqn.2026-01.test:a", "10.0.0.1:::2:iqn.2026-01.test:a", "10.0.0.1::::iqn.2026-01.test:b",
	} {
		target, err := iscsi.ParseRootPath(spec)
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, target)
	}
	var got []string
	for _, g := range byTarget(named) {
		got = append(got, fmt.Sprintf("%s: %d portals, LUNs %v", g.name, len(g.portals), g.luns))
	}
	want := []string{"iqn.2026-01.test:a: 2 portals, LUNs [0 2]", "iqn.2026-01.test:b: 1 portals, LUNs [0]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiskOf(t *testing.T) {
	one, two := iscsi.SimpleLUN(1), iscsi.SimpleLUN(2)
	units := []unit{{"a", one, "sda"}, {"b", one, "sdb"}, {"b", two, "sdc"}}
	for _, tt := range []struct {
		target string
		lun    iscsi.LUN
		want   string
	}{{"a", one, "sda"}, {"a", two, ""}, {"b", one, "sdb"}, {"b", two, "sdc"}, {"c", one, ""}} {
		if got := diskOf(units, tt.target, tt.lun); got != tt.want {
			t.Errorf("%s LUN %v: %q, want %q", tt.target, tt.lun, got, tt.want)
		}
	}
}
