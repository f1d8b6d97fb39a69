package boot

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/modload"
)

// What the kernel asks for obeys the image's config file, as all else does.
func TestRequestPlan(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		configFile:      "loop.max_loop=3\nrd.driver.blacklist=dummy\nnodisk.profile=virt\n",
		"/proc/cmdline": "loop.max_part=7 modprobe.blacklist=bad\n",
	} {
		at := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := requestPlan(root)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Params.For("loop"), "max_loop=3 max_part=7"; got != want {
		t.Errorf("parameters of loop: %q, want %q", got, want)
	}
	for _, name := range []string{"dummy", "bad"} {
		if _, ok := m.Blacklist.Find(name, true); !ok {
			t.Errorf("%s is not blacklisted", name)
		}
	}
	if _, err := requestPlan(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a command line: %v", err)
	}
}

// Without modules what profiles need is taken to be built in; what the administrator
// names is not.
func TestLoadWithoutModules(t *testing.T) {
	var log strings.Builder
	l := modload.NewLoader(modload.NoModules("r"), modload.LoaderConfig{Root: t.TempDir()}, slog.New(slog.NewTextHandler(&log, nil)))
	defer l.Close()
	err := l.Request(t.Context(), append(plan.Requests("iscsi", modload.StageStorage), plan.Requests("ext4", modload.StageFilesystem)...)...)
	if err != nil || log.String() != "" {
		t.Errorf("%v; log %q", err, log.String())
	}
	if _, missing := errors.AsType[*modload.MissingError](l.Load(t.Context(), "named")); !missing {
		t.Error("a module that the administrator named is not missed")
	}
	if err := l.Coldplug(t.Context(), fstest.MapFS{"bus/pci/devices/1/modalias": {Data: []byte("pci:v1\n")}}, nil); err != nil {
		t.Error(err)
	}
}

// Drivers that load PHYs by request are served from the beginning.
func TestAsksEarly(t *testing.T) {
	for alias, want := range map[string]bool{
		"alias mdio:????????????????00011100110010001??????? realtek\n": true,
		"alias mdiox foo\nalias pci:v1* mdio\n":                         false,
		"":                                                              false,
	} {
		x, err := modload.Open(fstest.MapFS{
			"lib/modules/r/modules.dep": {Data: []byte("kernel/realtek.ko:\n")}, "lib/modules/r/modules.alias": {Data: []byte(alias)},
		}, "r")
		if err != nil {
			t.Fatal(err)
		}
		if asksEarly(x) != want {
			t.Errorf("%q: %v", alias, !want)
		}
	}
}
