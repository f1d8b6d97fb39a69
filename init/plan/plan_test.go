package plan

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// Golden files are rewritten by `go test ./init/plan -update`.
var update = flag.Bool("update", false, "rewrite the golden files")

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
			p, err := New(cmdline.Parse(line), conf)
			got := p.String()
			if err != nil {
				got = err.Error() + "\npolicy: " + p.Policy.OnFail.String() + "\n"
			}
			if *update {
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
		p, err := New(cmdline.Parse(line), conf)
		if p.Policy.OnFail < OnFailRetry || p.Policy.OnFail > OnFailShell {
			t.Errorf("no policy: %v", p.Policy)
		}
		if err == nil && p.String() == "" {
			t.Error("an empty plan")
		}
	})
}

// What open-iscsi's and dracut's words for a target say, and that those without a value
// say nothing.
func TestNamedTarget(t *testing.T) {
	const a, b = "iscsi:10.0.0.1:6:3260::iqn.2026-01.test:a", "iscsi:10.0.0.2:6:3261:1:iqn.2026-01.test:b"
	const named = "iscsi_target_name=iqn.2026-01.test:a iscsi_target_ip=10.0.0.1 "
	for line, want := range map[string]string{
		named: a,
		named + "iscsi_initiator= iscsi_target_port= iscsi_target_group= iscsi_username= iscsi_password= iscsi_in_username= iscsi_in_password=": a,
		named + "rd.iscsi.username rd.iscsi.initiator=":               a,
		named + "iscsi_username= iscsi_username=u":                    "rd.iscsi.username=...: asks for CHAP",
		named + "iscsiroot=10.0.0.2::3261:1:iqn.2026-01.test:b":       b + " " + a,
		"root=iscsi iscsiroot=10.0.0.2::3261:1:iqn.2026-01.test:b":    b,
		"iscsiroot=iscsi:10.0.0.2::3261:1:iqn.2026-01.test:b":         b,
		"iscsiroot=u:p@10.0.0.2::3261:1:iqn.2026-01.test:b":           "asks for CHAP",
		"root=LABEL=a iscsi_target_name= iscsi_target_ip= iscsiroot=": "",
		"root=LABEL=a iscsi_target_name= iscsi_target_ip=10.0.0.1":    "rd.iscsi.target.ip=10.0.0.1: goes with a name",
	} {
		p, err := New(cmdline.Parse(line), nil)
		var got []string
		for _, target := range p.Targets {
			got = append(got, target.String())
		}
		fails := want != "" && !strings.HasPrefix(want, "iscsi:")
		if (err != nil) != fails || !fails && strings.Join(got, " ") != want || fails && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %s", line, got, err, want)
		}
	}
}
