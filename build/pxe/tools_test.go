package pxe

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/internal/testenv"
)

// tool finds a program, also where only root's PATH leads, and returns a copy
// of it: Debian's AppArmor profiles, which go by the path, let some servers read
// no file of a test. Without it the test is skipped; in strict mode a skip is a
// failure.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		unconfined := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(unconfined, program, 0o700); err != nil {
			t.Fatal(err)
		}
		return unconfined
	}
	testenv.Needs(t, false, "program "+name+" (package "+pkg+")")
	return ""
}

// accepts runs a program that judges a file.
func accepts(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// written puts the tree of a cluster into a directory.
func written(t *testing.T, cluster string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := Write(t.Context(), dir, render(t, cluster).Files, false, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDnsmasqReads(t *testing.T) {
	dnsmasq := tool(t, "dnsmasq", "dnsmasq-base")
	for _, cluster := range clusters() {
		t.Run(cluster, func(t *testing.T) {
			dir := written(t, cluster)
			accepts(t, dnsmasq, "--test", "--conf-file="+filepath.Join(dir, dnsmasqConf))
			// The test does not look into a dhcp-hostsdir: the same lines as options.
			hosts, err := os.ReadFile(filepath.Join(dir, dnsmasqHosts, "nodes"))
			if err != nil {
				t.Fatal(err)
			}
			var options []string
			for line := range strings.Lines(string(hosts)) {
				if !strings.HasPrefix(line, "#") {
					options = append(options, "dhcp-host="+line)
				}
			}
			if len(options) < 5 {
				t.Fatalf("%d reservations", len(options))
			}
			conf := filepath.Join(dir, "hosts.conf")
			if err := os.WriteFile(conf, []byte(strings.Join(options, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			accepts(t, dnsmasq, "--test", "--conf-file="+conf)
		})
	}
}

func TestDhcpdReads(t *testing.T) {
	dhcpd := tool(t, "dhcpd", "isc-dhcp-server")
	for _, cluster := range clusters() {
		t.Run(cluster, func(t *testing.T) {
			accepts(t, dhcpd, "-4", "-t", "-cf", filepath.Join(written(t, cluster), dhcpdConf))
		})
	}
}

func TestKeaReads(t *testing.T) {
	kea := tool(t, "kea-dhcp4", "kea-dhcp4-server")
	for _, cluster := range clusters() {
		t.Run(cluster, func(t *testing.T) {
			// Its lock and log files have fixed places unless these are set.
			dir := t.TempDir()
			t.Setenv("KEA_LOCKFILE_DIR", dir)
			t.Setenv("KEA_PIDFILE_DIR", dir)
			accepts(t, kea, "-t", filepath.Join(written(t, cluster), keaConf))
		})
	}
}

func TestGRUBReads(t *testing.T) {
	grub := tool(t, "grub-script-check", "grub-common")
	for _, cluster := range clusters() {
		t.Run(cluster, func(t *testing.T) {
			seen := map[string]bool{}
			dir := written(t, cluster)
			for _, f := range render(t, cluster).Files {
				if strings.Contains(f.Path, "grub.cfg") && !seen[string(f.Data)] {
					seen[string(f.Data)] = true
					accepts(t, grub, filepath.Join(dir, f.Path))
				}
			}
			if len(seen) < 4 {
				t.Errorf("%d configurations", len(seen))
			}
		})
	}
}
