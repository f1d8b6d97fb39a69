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
	"time"

	"github.com/google/go-cmp/cmp"

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
	seed, n := stormNumber(t, "NODISK_STORM_SEED", stormSeed), stormNumber(t, "NODISK_STORM_N", uint64(lastFault))
	for _, r := range []Root{RootISCSI, RootNFS3} {
		needs(t, BootSpec{Root: r})
	}
	im := stormImage(t)
	lab := newLab(t)
	var mu sync.Mutex
	var results []StormResult
	boot := func(t *testing.T, c StormCase) {
		res, err := RunStorm(t.Context(), lab, c, im)
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
				res.Outcome, res.Problem, seed, c.Index+1, c, tail(res.Console, 40))
		}
	}
	// Not t.Parallel: a node that waits for its deadline needs no processor, so
	// there may be more of them than of busy nodes.
	cases := make(chan StormCase)
	var nodes sync.WaitGroup
	for range stormNumber(t, "NODISK_STORM_NODES", uint64(nodesAtOnce())+1) {
		nodes.Go(func() {
			for c := range cases {
				t.Run(c.String(), func(t *testing.T) { boot(t, c) })
			}
		})
	}
	for _, c := range Storm(seed, int(n)) {
		cases <- c
	}
	close(cases)
	nodes.Wait()
	table := fmt.Sprintf("storm of seed %d:\n%s", seed, StormTable(results))
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
func stormImage(t *testing.T) StormImage {
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
	return StormImage{
		Kernel: filepath.Join(kernelDir(t), "vmlinuz"),
		Image: buildImage(t, "virt,iscsi,ext4,nfs", "--modules", modules, "--module", "stall", "--add",
			agent+":"+agentPath),
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

func TestStormIsOfItsSeed(t *testing.T) {
	if diff := cmp.Diff(Storm(7, 50), Storm(7, 50)); diff != "" {
		t.Errorf("a seed has two storms (-one +other):\n%s", diff)
	}
	if diff := cmp.Diff(Storm(7, 50)[31], StormAt(7, 31)); diff != "" {
		t.Errorf("a case alone is another than in its storm (-storm +alone):\n%s", diff)
	}
	if cmp.Equal(Storm(7, 12), Storm(8, 12),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seed" }, cmp.Ignore())) {
		t.Error("two seeds have one storm")
	}
}

// Every fault comes once in each run of twelve, and every case can end well.
func TestStormCases(t *testing.T) {
	for seed := range uint64(200) {
		had := map[Fault]int{}
		for _, c := range Storm(seed, 3*int(lastFault)) {
			had[c.Fault]++
			away := c.Fault.keepsRootAway()
			switch {
			case away && c.OnFail == "retry" && c.Heals == 0:
				t.Errorf("seed %d: %v tries forever, and nobody mends the fault: %s", seed, c, c.Describe())
			case c.Fault == NFSKilled && c.Root != RootNFS3, c.Fault < PortalGone && c.Root != RootISCSI,
				c.Fault == DHCPGone && c.Static:
				t.Errorf("seed %d: %v has nothing to break: %s", seed, c, c.Describe())
			case away && c.Deadline > 30*time.Second, !away && c.Fault != WorkerStopped && c.Deadline < time.Minute:
				t.Errorf("seed %d: %v: deadline %v", seed, c, c.Deadline)
			case c.Fault == DriverHangs && c.Heals%time.Second != 0:
				t.Errorf("seed %d: %v: the module takes seconds, not %v", seed, c, c.Heals)
			}
		}
		for f := Fault(1); f <= lastFault; f++ {
			if had[f] != 3 {
				t.Errorf("seed %d: %v came %d times, want 3", seed, f, had[f])
			}
		}
	}
}

func TestStormWords(t *testing.T) {
	for want, c := range map[string]StormCase{
		"ip=dhcp root=dhcp rdinit=/storm nodisk.onfail=retry nodisk.deadline=25s": {
			Fault: TargetKilled, Root: RootISCSI, OnFail: "retry", Deadline: 25 * time.Second,
		},
		"ip={client}::{gateway}:{mask}:{name}::none netroot=iscsi:{server}::3260:1:{target} root=LABEL={label} " +
			"stall.probe_secs=100000 rdinit=/storm nodisk.onfail=halt nodisk.deadline=1m0s": {
			Fault: DriverHangs, Root: RootISCSI, Static: true, OnFail: "halt", Deadline: time.Minute,
		},
		"ip=dhcp root=/dev/nfs nfsroot={server}:{export},vers=3,port={nfsport},mountport={mountport} " +
			"stall.probe_secs=7 rdinit=/storm nodisk.onfail=halt nodisk.deadline=1m0s": {
			Fault: DriverHangs, Heals: 7 * time.Second, Root: RootNFS3, OnFail: "halt", Deadline: time.Minute,
		},
	} {
		if diff := cmp.Diff(want, c.words()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Describe(), diff)
		}
	}
}

func TestStormMachine(t *testing.T) {
	c := StormCase{Fault: DriverHangs}
	text := machine{spec: BootSpec{Devices: c.devices()}, orders: "/o"}.String()
	for _, want := range []string{"-device i6300esb", "-chardev socket,id=orders,path=/o -serial chardev:orders"} {
		if !strings.Contains(text, want) {
			t.Errorf("the machine has no %q: %s", want, text)
		}
	}
}

// The judge against consoles: what is right, and all that is wrong.
func TestStormJudge(t *testing.T) {
	const (
		begin = "[    3.000000] Run /storm as init process\n"
		root  = "[   10.000000] nodisk-root: reached\nnodisk-root: disks sda\n"
		gave  = "[   28.000000] nodisk: error: gave up after 25 s: attach: portal 10.77.0.2:3260: no answer; " +
			"nodisk.onfail=reboot\n"
		ended = "[   29.000000] reboot: Restarting system\n"
		again = "[   28.000000] nodisk: error: gave up after 25 s: attach: no answer; starting again " +
			"(nodisk.onfail=retry)\n"
		over = "[    9.000000] nodisk: switch (7/7): to /sbin/init\n"
	)
	killed := StormCase{Fault: TargetKilled, Root: RootISCSI, OnFail: "reboot", Deadline: 25 * time.Second}
	retry := killed
	retry.OnFail, retry.Heals = "retry", 30*time.Second
	worker := killed
	worker.Fault, worker.Deadline = WorkerKilled, time.Minute
	driver := worker
	driver.Fault = DriverHangs
	at := func(text string, seconds string) string { return strings.Replace(text, "10.000000", seconds, 1) }
	for name, c := range map[string]struct {
		c       StormCase
		console string
		hit     time.Duration
		healed  time.Duration
		stolen  time.Duration
		want    Outcome
		problem string
	}{
		"reached":         {killed, begin + root, 0, 0, 0, Reached, ""},
		"acted":           {killed, begin + gave + ended, 4 * time.Second, 0, 0, Acted, ""},
		"silent":          {killed, begin + over, time.Second, 0, 0, Hung, "switch (7/7)"},
		"handed over":     {killed, begin + over, 7 * time.Second, 0, 0, Handed, ""},
		"not handed over": {worker, begin + over, 7 * time.Second, 0, 0, Hung, "switch (7/7)"},
		"another policy": {killed, begin + gave + "[   29.000000] reboot: Power down\n",
			1, 0, 0, Wrong, "onfail=reboot, but: reboot: Power down"},
		"without a cause": {killed, begin + ended, 1, 0, 0, Wrong, "no error names nodisk.onfail=reboot"},
		"too late": {killed, begin + gave + "[   50.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "after the limit of 40.0 s"},
		"too early": {killed, begin + gave + "[   20.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "gave up after 17.0 s"},
		"for nothing": {worker, begin + gave + "[   70.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "nothing kept its root away"},
		"panic": {killed, begin + "[    5.000000] Kernel panic - not syncing: x\n",
			1, 0, 0, Wrong, "Kernel panic"},
		"two disks":    {killed, begin + strings.Replace(root, "sda", "sda sdb", 1), 1, 0, 0, Wrong, "sda sdb"},
		"another disk": {killed, begin + strings.Replace(root, "sda", "sdb", 1), 1, 0, 0, Reached, ""},
		"retry": {retry, begin + again + at(root, "50.000000"), 5 * time.Second, 35 * time.Second, 0,
			Reached, ""},
		"retry, silent": {retry, begin + at(root, "50.000000"), 5 * time.Second, 35 * time.Second, 0, Wrong,
			"did not begin again"},
		"retry, too late": {retry, begin + again + at(root, "90.000000"), 5 * time.Second, 35 * time.Second, 0,
			Wrong, "after the limit of 75.0 s"},
		"worker": {worker, begin + "[    5.000000] nodisk: supervisor: the worker was killed\n" + root, 1,
			0, 0, Reached, ""},
		"worker, silent": {worker, begin + root, 1, 0, 0, Wrong, "no line names the cause"},
		"worker, missed": {worker, begin + root, 0, 0, 0, Reached, ""},
		"driver": {driver, begin + "[    5.000000] nodisk: warning: a driver is still being loaded\n" +
			root, 1, 0, 0, Reached, ""},
		"driver, silent": {driver, begin + "[    5.000000] nodisk: drivers (2/7): none\n" + root, 1, 0, 0, Wrong,
			"no line names the cause"},
		"root lost its voice": {killed, begin + "[   10.000000] nodisk-root: reached\n", 9 * time.Second, 0, 0, Reached,
			""},
		"late on a busy host": {killed, begin + gave + "[   50.000000] reboot: Restarting system\n",
			1, 0, 9 * time.Second, Acted, ""},
		"busy, another cause": {killed, begin + strings.Replace(gave, "10.77.0.2", "x", 1) + ended, 1, 0,
			9 * time.Second, Acted, ""},
		"busy, for nothing": {worker, begin + gave + "[   70.000000] reboot: Restarting system\n",
			1, 0, 19 * time.Second, Wrong, "nothing kept"},
	} {
		out := newTranscript()
		_, _ = out.Write([]byte(c.console))
		lines, _, _ := out.snapshot(0)
		var r StormResult
		r.judge(c.c, stormSeen{lines: lines, init: 3 * time.Second, hit: c.hit, healed: c.healed, stolen: c.stolen})
		if r.Outcome != c.want || !strings.Contains(r.Problem, c.problem) || (c.problem == "") != (r.Problem == "") {
			t.Errorf("%s: %v, %q; want %v, %q", name, r.Outcome, r.Problem, c.want, c.problem)
		}
	}
}

func TestStormTable(t *testing.T) {
	text := StormTable([]StormResult{
		{Case: StormCase{Fault: LUNEmpty}, Outcome: Reached, Took: 3 * time.Second},
		{Case: StormCase{Fault: LUNEmpty}, Outcome: Hung, Took: 40 * time.Second, Stolen: 2500 * time.Millisecond},
		{Case: StormCase{Fault: WorkerKilled}, Outcome: Reached, Missed: true, Took: 2 * time.Second},
	})
	var got [][]string
	for line := range strings.Lines(text) {
		got = append(got, strings.Fields(line))
	}
	want := [][]string{
		strings.Fields("fault boots reached acted handed missed hung wrong median s longest s stolen s"),
		strings.Fields("lun-empty 2 1 0 0 0 1 0 40.0 40.0 2.5"),
		strings.Fields("worker-killed 1 1 0 0 1 0 0 2.0 2.0 0.0"),
		strings.Fields("all 3 2 0 0 1 1 0 3.0 40.0 2.5"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
