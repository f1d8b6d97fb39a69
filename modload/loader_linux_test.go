package modload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// top needs left and right, which need base.
var diamond = map[string]string{
	"dep": "kernel/base.ko:\nkernel/left.ko: kernel/base.ko\nkernel/right.ko: kernel/base.ko\n" +
		"kernel/top.ko: kernel/left.ko kernel/right.ko kernel/base.ko\nkernel/fast.ko:\nkernel/slow.ko:\n" +
		"kernel/late.ko:\n",
	"alias": "alias crypto-x fast\nalias crypto-x slow\nalias cpu:type:x86,ven*feature:*0094* fast\n" +
		"alias pci:v00001AF4* left\nalias virtio:d00000001v* right\nalias usb:v1* top\n",
	"softdep": "softdep top pre: crypto-x post: late\n",
}

func TestLoadDiamond(t *testing.T) {
	l, k, _ := newTestLoader(t, diamond, LoaderConfig{})
	// left and right are loaded at the same time: each waits for the other.
	var both sync.WaitGroup
	both.Add(2)
	k.inserted = func(name string) ([]string, error) {
		if name == "left" || name == "right" {
			both.Done()
			both.Wait()
		}
		return nil, nil
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := l.Load(t.Context(), "top"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, e := range [][2]string{
		{"base", "left"}, {"base", "right"}, {"left", "top"}, {"right", "top"}, {"fast", "top"}, {"slow", "top"},
		{"top", "late"},
	} {
		k.before(t, e[0], e[1])
	}
	for name, n := range k.tries {
		if n != 1 {
			t.Errorf("%s was given to the kernel %d times", name, n)
		}
	}
	if got := l.Loaded(); len(got) != 7 || got[len(got)-1].Name != "late" {
		t.Errorf("Loaded: %v", got)
	}
}

func TestLoadSerial(t *testing.T) {
	l, k, _ := newTestLoader(t, diamond, LoaderConfig{Serial: true})
	if err := l.Load(t.Context(), "top"); err != nil {
		t.Fatal(err)
	}
	mods, err := l.index.Resolve("top")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range mods {
		want = append(want, m.Name)
	}
	if diff := cmp.Diff(want, k.order); diff != "" || k.most != 1 {
		t.Errorf("%d at a time, order (-want +got):\n%s", k.most, diff)
	}
}

func TestLoadBoundsWorkers(t *testing.T) {
	var dep strings.Builder
	names := make([]string, 40)
	for i := range names {
		names[i] = fmt.Sprintf("m%d", i)
		fmt.Fprintf(&dep, "kernel/m%d.ko:\n", i)
	}
	l, k, _ := newTestLoader(t, map[string]string{"dep": dep.String()}, LoaderConfig{Workers: 3})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := l.Load(t.Context(), names[i*5:]...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if k.most > 3 || len(k.order) != 40 {
		t.Errorf("%d modules, up to %d at a time", len(k.order), k.most)
	}
}

// What is the longest way to the end starts first.
func TestHeaviestFirst(t *testing.T) {
	l, _, _ := newTestLoader(t, diamond, LoaderConfig{})
	mods, err := l.index.Resolve("late", "top")
	if err != nil {
		t.Fatal(err)
	}
	b := batch{nodes: l.graph(mods, purpose{})}
	nodes := b.nodes
	l.weigh(nodes, nil)
	weights := make(map[string]int64)
	for i := range nodes {
		weights[nodes[i].mod.Name] = nodes[i].claim.weight / (1<<16 + fixedCost)
	}
	want := map[string]int64{"late": 1, "fast": 2, "slow": 2, "base": 3, "left": 2, "right": 2, "top": 1}
	if diff := cmp.Diff(want, weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if best := b.ready(false); best.mod.Name != "base" {
		t.Errorf("the heaviest is %s", best.mod.Name)
	}
	if first := b.ready(true); first.mod.Name != "late" {
		t.Errorf("the first is %s", first.mod.Name)
	}
}

func TestLoadWhatIsThere(t *testing.T) {
	l, k, _ := newTestLoader(t, diamond, LoaderConfig{})
	k.living["base"] = true
	k.builtin["loop"] = true
	k.inserted = func(string) ([]string, error) { return nil, unix.EEXIST }
	if err := l.Load(t.Context(), "left", "loop"); err != nil {
		t.Error(err)
	}
	if k.tries["base"] != 0 || k.tries["left"] != 1 || len(l.Loaded()) != 0 {
		t.Errorf("tries %v, loaded %v", k.tries, l.Loaded())
	}
}

func TestLoadErrors(t *testing.T) {
	l, k, log := newTestLoader(t, diamond, LoaderConfig{})
	k.inserted = func(name string) ([]string, error) {
		switch name {
		case "base":
			return []string{"other: Unknown symbol x (err -2)", "base: version magic '5.10 SMP ' should " +
				"be '6.1 SMP '"}, unix.ENOEXEC
		case "late":
			return nil, unix.ENOMEM
		}
		return nil, nil
	}
	err := l.Load(t.Context(), "top", "late", "topp")
	want := []string{
		`load module "base" (top needs left needs base): exec format error; the kernel says "base: version magic '5.10 SMP ' should be '6.1 SMP '"; ` +
			"the modules are of the same release but another build: build the image again with the kernel that boots",
		`load module "late": cannot allocate memory; the machine has too little memory left`,
		`find module "topp": neither in lib/modules/r, nor in a directory beside it, nor built into that kernel; the nearest name there is "top"`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(err, unix.ENOEXEC) || k.tries["top"] != 0 || k.tries["left"] != 0 {
		t.Errorf("%v; tries %v", err, k.tries)
	}
	// The cause is gone: what failed is tried again, and only that.
	k.inserted = nil
	if err := l.Load(t.Context(), "top", "late"); err != nil {
		t.Error(err)
	}
	if k.tries["base"] != 2 || k.tries["fast"] != 1 {
		t.Errorf("tries %v", k.tries)
	}
	if log.String() != "" {
		t.Errorf("errors that are returned were logged too:\n%s", log)
	}
}

func TestLoadOptional(t *testing.T) {
	l, k, log := newTestLoader(t, diamond, LoaderConfig{})
	k.inserted = func(name string) ([]string, error) {
		switch name {
		case "fast":
			return nil, unix.ENODEV
		case "late":
			return nil, unix.EINVAL
		}
		return nil, nil
	}
	if err := l.Load(t.Context(), "top"); err != nil {
		t.Errorf("a softdep failed the load: %v", err)
	}
	if err := l.Load(t.Context(), "crypto-x"); err != nil {
		t.Errorf("one of two modules of an alias is not enough: %v", err)
	}
	if err := l.Request(t.Context(), Request{Name: "nothing", Optional: true}, Request{Name: "left"}); err != nil {
		t.Error(err)
	}
	want := "level=WARN msg=\"optional module not loaded\" module=late err=\"load module \\\"late\\\": " +
		"invalid argument\"\n" +
		"level=WARN msg=\"optional module not loaded\" module=nothing err=\"find module \\\"nothing\\\": neither in " +
		"lib/modules/r, nor in a directory beside it, nor built into that kernel\"\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	k.inserted = func(string) ([]string, error) { return nil, unix.ENODEV }
	k.living["slow"] = false
	l, k2, _ := newTestLoader(t, diamond, LoaderConfig{})
	k2.inserted = k.inserted
	if err := l.Load(t.Context(), "crypto-x"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("no module of an alias loads: %v", err)
	}
}

// Of several modules for one alias, those for another processor are left out.
func TestLoadSuitsProcessor(t *testing.T) {
	for cpu, want := range map[string]int{
		"cpu:type:x86,ven0000fam0006mod0086:feature:,0000,0001": 0,
		"cpu:type:x86,ven0000fam0006mod0086:feature:,0000,0094": 1,
		"": 1,
	} {
		l, k, _ := newTestLoader(t, diamond, LoaderConfig{})
		k.cpuAlias = cpu
		if err := l.Load(t.Context(), "crypto-x"); err != nil {
			t.Error(err)
		}
		if k.tries["fast"] != want || k.tries["slow"] != 1 {
			t.Errorf("processor %q: tries %v", cpu, k.tries)
		}
	}
}

func TestLoadParamsAndBlacklist(t *testing.T) {
	params, black := ParseParams(
		cmdline.Parse(`base.debug=1 top.name="a b" left-x.y=1 modprobe.blacklist=fast,left module_blacklist=right`))
	l, k, log := newTestLoader(t, diamond, LoaderConfig{Params: params, Blacklist: black})
	if err := l.Request(t.Context(), Request{Name: "left", Params: "max=0"}, Request{Name: "crypto-x"},
		Request{Name: "right"}); err != nil {
		t.Error(err)
	}
	want := map[string]string{"base": "debug=1", "left": "max=0", "slow": ""}
	if diff := cmp.Diff(want, k.params); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	err := l.Request(t.Context(), Request{Name: "top", Params: "name=x"})
	if err == nil ||
		!strings.Contains(err.Error(), `load module "right" (top needs right): forbidden by module_blacklist=`) {
		t.Errorf("a dependency is forbidden: %v", err)
	}
	if got := l.params("top", []Request{{Name: "top", Params: "name=x"}}); got != `name=x name="a b"` {
		t.Errorf("parameters of top: %q", got)
	}
	wantLog := "level=INFO msg=\"module not loaded: it is blacklisted\" module=fast by=modprobe.blacklist\n" +
		"level=INFO msg=\"module not loaded: it is blacklisted\" module=right by=module_blacklist\n"
	if diff := cmp.Diff(wantLog, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestLoadBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, _ := newTestLoader(t, diamond, LoaderConfig{})
		k.inserted = func(name string) ([]string, error) {
			if name == "fast" {
				return nil, unix.EAGAIN // forever
			}
			if k.tries[name] < 3 {
				return nil, unix.EBUSY
			}
			return nil, nil
		}
		start := time.Now()
		if err := l.Load(t.Context(), "slow"); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("two pauses took %v", took)
		}
		if err := l.Load(t.Context(), "fast"); !errors.Is(err, unix.EAGAIN) || k.tries["fast"] != busyAttempts {
			t.Errorf("after %d tries: %v", k.tries["fast"], err)
		}
	})
}

func TestLoadEndsWithContext(t *testing.T) {
	l, k, _ := newTestLoader(t, diamond, LoaderConfig{Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	k.inserted = func(name string) ([]string, error) {
		if name == "base" {
			close(entered)
			<-leave
		}
		return nil, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Load(t.Context(), "left"); err != nil {
			t.Errorf("another's context ended this load: %v", err)
		}
	})
	<-entered
	// One waits for base, which is under way; one for a worker.
	for _, name := range []string{"right", "slow"} {
		wg.Go(func() {
			if err := l.Load(ctx, name); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	cancel()
	close(leave)
	wg.Wait()
	if err := l.Load(t.Context(), "slow"); err != nil {
		t.Errorf("an abandoned load cannot be done again: %v", err)
	}
}

// A module whose init never ends does not hold up its caller forever.
func TestLoadHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, _ := newTestLoader(t, diamond, LoaderConfig{Serial: true})
		leave := make(chan struct{})
		k.inserted = func(name string) ([]string, error) {
			if name == "left" {
				<-leave
			}
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := l.Load(ctx, "left")
		want := "load modules: context deadline exceeded; the kernel still has left in its init, 60 s: see its log"
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		// It ends after all, and the next load finds it done.
		close(leave)
		if err := l.Load(t.Context(), "left"); err != nil || k.tries["left"] != 1 {
			t.Errorf("%v, tries %v", err, k.tries)
		}
	})
}

// What the kernel was not asked for in time is named too: a module that waits for a place, or is still being unpacked.
func TestLoadTooSlow(t *testing.T) {
	const remedy = ": the machine is slow, or has much to load: rd.driver.blacklist= keeps out what it does not need"
	synctest.Test(t, func(t *testing.T) {
		l, k, _ := newTestLoader(t, diamond, LoaderConfig{Workers: 1})
		release := make(chan struct{})
		k.unpacked = func(name string) {
			if name == "fast" || name == "base" {
				<-release
			}
		}
		others := make(chan error)
		go func() { others <- l.Load(t.Context(), "fast") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := l.Load(ctx, "left", "late")
		want := "load modules: context deadline exceeded; not loaded yet: base, late, beside fast" + remedy
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("after others: %v, want %s", err, want)
		}
		synctest.Wait()
		if names, looking := l.Loading(); !slices.Equal(names, []string{"fast"}) || looking {
			t.Errorf("loading %q, looking %v", names, looking)
		}
		close(release)
		if err := <-others; err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		k.unpacked = func(string) { <-time.After(2 * time.Minute) }
		k.mu.Unlock()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = l.Load(ctx, "left")
		if want := "load modules: context deadline exceeded; not loaded yet: base" + remedy; err == nil ||
			err.Error() != want {
			t.Errorf("while it is unpacked: %v, want %s", err, want)
		}
		if err := l.Load(t.Context(), "left"); err != nil {
			t.Errorf("another attempt: %v", err)
		}
		if names, _ := l.Loading(); names != nil {
			t.Errorf("in the end: %q", names)
		}
	})
}
