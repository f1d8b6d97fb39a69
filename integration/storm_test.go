package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/storm"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// stormSeed is the seed of make test. Every seed's first twelve cases are one of
// every fault; of many seeds this one waits least with the faults in the midst of
// the boot, all policies taken, and a driver and a worker that stay as they are.
const stormSeed = 19978

// TestStorm boots nodes while things break. Without further words it is as many
// as there are faults, each once; make soak has these:
//
//	NODISK_STORM_SEED=7    another storm
//	NODISK_STORM_N=100     so many boots
//	NODISK_STORM_NODES=1   so many nodes at a time
//	NODISK_STORM_TABLE=F   the results by fault go to that file
//	-run TestStorm/007-cable-pulled   one case of it
func TestStorm(t *testing.T) {
	seed, n := stormNumber(t, "NODISK_STORM_SEED", stormSeed), stormNumber(t, "NODISK_STORM_N", uint64(storm.LastFault))
	for _, r := range []lab.Root{lab.RootISCSI, lab.RootNFS3} {
		needs(t, lab.BootSpec{Root: r})
	}
	im := stormImage(t)
	lab := newLab(t)
	var mu sync.Mutex
	var results []storm.Result
	boot := func(t *testing.T, c storm.Case) {
		res, err := storm.Run(t.Context(), lab, c, im)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		t.Logf("seed %d: %s: %v after %.1f s, %.1f s stolen by the host (%s)",
			seed, c.Describe(), res.Outcome, res.Took.Seconds(), res.Stolen.Seconds(), res.End)
		mu.Lock()
		results = append(results, res)
		mu.Unlock()
		if res.Problem != "" {
			t.Errorf("%v: %s\nagain: NODISK_STORM_SEED=%d NODISK_STORM_N=%d go test -count=1 -run 'TestStorm/%v' "+
				"./integration\nthe console's end:\n%s",
				res.Outcome, res.Problem, seed, c.Index+1, c, transcript.Tail(res.Console, 40))
		}
	}
	// Not t.Parallel: a node that waits for its deadline needs no processor, so
	// there may be more of them than of busy nodes.
	cases := make(chan storm.Case)
	var nodes sync.WaitGroup
	for range stormNumber(t, "NODISK_STORM_NODES", uint64(nodesAtOnce())+1) {
		nodes.Go(func() {
			for c := range cases {
				t.Run(c.String(), func(t *testing.T) { boot(t, c) })
			}
		})
	}
	for _, c := range storm.Cases(seed, int(n)) {
		cases <- c
	}
	close(cases)
	nodes.Wait()
	table := fmt.Sprintf("storm of seed %d:\n%s", seed, storm.Table(results))
	t.Log(table)
	if path := os.Getenv("NODISK_STORM_TABLE"); path != "" {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func stormNumber(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return v
}

// stormImage makes the image of all nodes.
func stormImage(t *testing.T) storm.Image {
	t.Helper()
	modules := t.TempDir()
	module := os.Getenv("NODISK_STALL")
	if module == "" {
		module = "../.cache/stall/stall.ko"
	}
	if err := withModule(kernelDir(t), module, modules); errors.Is(err, os.ErrNotExist) {
		testenv.Missing(t, "no driver that hangs: run make stall, or set NODISK_STALL: "+err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	gobin, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command to build the agent with")
	}
	agent := filepath.Join(t.TempDir(), "storm")
	build := exec.CommandContext(t.Context(), gobin, "build", "-trimpath", "-ldflags=-s -w", "-o", agent, "./agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return storm.Image{
		Kernel: filepath.Join(kernelDir(t), "vmlinuz"),
		Image: buildImage(t, "virt,iscsi,ext4,nfs", "--modules", modules, "--module", "stall", "--add",
			agent+":"+storm.AgentPath),
		Logs: os.Getenv("NODISK_TEST_LOGS"),
	}
}

// withModule makes a copy of the kernel's tree with a driver more, which a device
// may ask for. It has no indexes: nodisk build makes them.
func withModule(kernel, module, to string) error {
	trees, err := filepath.Glob(filepath.Join(kernel, "lib/modules/*"))
	if err != nil || len(trees) != 1 {
		return fmt.Errorf("%s holds %d module trees: %w", kernel, len(trees), err)
	}
	err = filepath.WalkDir(trees[0], func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(kernel, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch name := e.Name(); {
		case e.IsDir():
			return os.MkdirAll(target, 0o755)
		case strings.HasPrefix(name, "modules.") && name != "modules.order" && !strings.HasPrefix(name,
			"modules.builtin"):
			return nil
		}
		if os.Link(path, target) == nil {
			return nil
		}
		return copyTo(path, target, 0o644) // another file system
	})
	if err != nil {
		return err
	}
	// Where drivers of host adapters are: it is none of the network's.
	rel := filepath.Join("lib/modules", filepath.Base(trees[0]), "kernel/drivers/scsi", filepath.Base(module))
	return copyTo(module, filepath.Join(to, rel), 0o644)
}
