package modload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/uevent"
)

// hba has a driver that stays in its probe, and much else.
var hba = map[string]string{
	"dep": "kernel/drivers/scsi/hba.ko: kernel/drivers/scsi/base.ko\nkernel/drivers/scsi/base.ko:\n" +
		"kernel/drivers/scsi/behind.ko: kernel/drivers/scsi/hba.ko\n" +
		"kernel/drivers/net/nic.ko:\nkernel/drivers/net/usbnic.ko:\nkernel/drivers/net/virtio.ko:\n" +
		"kernel/fs/a.ko:\nkernel/fs/b.ko: kernel/fs/a.ko\nkernel/fs/c.ko: kernel/fs/b.ko kernel/fs/a.ko\n",
	"alias":   "alias pci:v1* hba\nalias pci:v2* nic\nalias virtio:d1* virtio\nalias usb:v1* usbnic\n",
	"softdep": "softdep hba post: behind\n",
}

// numbersOf are the numbers of places that the tests try.
var numbersOf = []int{1, 2, 16, 256}

// slow returns a loader whose driver hba does not come back from its probe
// before release is closed.
func slow(t *testing.T, places int) (l *Loader, k *fakeKernel, sysfs *fakeSysfs, log *buffer, release chan struct{}) {
	l, k, log = newTestLoader(t, hba, LoaderConfig{Workers: places})
	sysfs = newSysfs()
	sysfs.add("pci", "0000:00:03.0", "pci:v1")
	sysfs.add("pci", "0000:00:04.0", "pci:v2")
	release = make(chan struct{})
	k.inserted = func(name string) ([]string, error) {
		switch name {
		case "hba":
			<-release
		case "nic":
			sysfs.add("virtio", "virtio0", "virtio:d1")
		}
		return nil, nil
	}
	return l, k, sysfs, log, release
}

// A probe that never ends holds up neither loads by name nor other drivers, on
// any number of processors.
func TestSlowProbeHoldsNobody(t *testing.T) {
	for _, places := range numbersOf {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, k, sysfs, _, release := slow(t, places)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				looked := make(chan error)
				go func() { looked <- l.Coldplug(ctx, sysfs, nil) }()
				if err := l.Load(ctx, "c"); err != nil {
					t.Errorf("loads by name: %v", err)
				}
				if err := <-looked; err != nil {
					t.Errorf("drivers: %v", err)
				}
				synctest.Wait()
				want := map[string]int{"base": 1, "hba": 1, "nic": 1, "virtio": 1, "a": 1, "b": 1, "c": 1}
				if diff := cmp.Diff(want, k.tries); diff != "" {
					t.Errorf("tries (-want +got):\n%s", diff)
				}
				close(release)
				synctest.Wait()
				if k.tries["behind"] != 1 {
					t.Errorf("what comes after the slow driver is not loaded when it is done: %v", k.tries)
				}
			})
		})
	}
}

// A device that appears while a probe goes on gets its driver.
func TestFollowBesideSlowProbe(t *testing.T) {
	for _, places := range numbersOf {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, k, sysfs, _, release := slow(t, places)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				arrived := make(chan struct{})
				events := &script{
					func() (uevent.Event, error) {
						<-arrived
						return uevent.Event{Action: "add", ModAlias: "usb:v1"}, nil
					},
				}
				followed := make(chan error)
				go func() { followed <- l.Follow(ctx, sysfs, events) }()
				<-time.After(time.Second)
				close(arrived)
				<-time.After(time.Second)
				synctest.Wait()
				if k.tries["usbnic"] != 1 {
					t.Errorf("the late device has no driver: %v", k.tries)
				}
				cancel()
				close(release)
				if err := <-followed; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A place is given up only when the kernel has had a module for long: loads that
// compute are as many as there are places.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, _ := newTestLoader(t, hba, LoaderConfig{Workers: 1})
		k.inserted = func(name string) ([]string, error) {
			d := patience / 2
			if name == "nic" {
				d = 10 * patience
			}
			<-time.After(d)
			return nil, nil
		}
		start := time.Now()
		if err := l.Load(t.Context(), "nic", "a", "virtio"); err != nil {
			t.Error(err)
		}
		if k.most != 2 || time.Since(start) != 10*patience {
			t.Errorf("up to %d at a time, %v in all", k.most, time.Since(start))
		}
		k.most, start = 0, time.Now()
		if err := l.Load(t.Context(), "base", "usbnic"); err != nil {
			t.Error(err)
		}
		if k.most != 1 || time.Since(start) != patience {
			t.Errorf("of those that are quick, up to %d at a time, %v in all", k.most, time.Since(start))
		}
	})
}

// A module that is live has loaded, though the kernel keeps whoever loads it until
// other drivers' asynchronous probes have ended.
func TestLiveBeforeTheCallReturns(t *testing.T) {
	for _, announced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, k, _ := newTestLoader(t, hba, LoaderConfig{Workers: 1})
			k.announced = make(chan uevent.Event)
			release := make(chan struct{})
			defer close(release)
			live := func(name string) {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.living[name] = true
			}
			k.inserted = func(name string) ([]string, error) {
				if name == "nic" && !announced {
					live(name) // before anybody looks
				}
				<-release
				return nil, nil
			}
			if announced {
				go func() {
					<-time.After(time.Second)
					k.announced <- uevent.Event{Action: "add", Subsystem: "module", DevPath: "/module/other"}
					live("nic")
					k.announced <- uevent.Event{Action: "add", Subsystem: "module", DevPath: "/module/nic"}
				}()
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := l.Load(ctx, "nic"); err != nil {
				t.Error(err)
			}
			want := patience
			if announced {
				want = time.Second
			}
			if took := time.Since(start); took != want || l.Late() != nil {
				t.Errorf("announced %v: loaded after %v, want %v; late: %v", announced, took, want, l.Late())
			}
			if got := l.Loaded(); len(got) != 1 || got[0].Name != "nic" {
				t.Errorf("announced %v: it is not on the list of what was loaded: %v", announced, got)
			}
		})
	}
}

// A driver of a device here may be live long before its probe has ended: it has been loaded,
// and whoever needs the probes waits for the call.
func TestFinishWaitsForProbesBehindLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, sysfs, _, release := slow(t, 2)
		defer close(release)
		k.announced = make(chan uevent.Event)
		const probe = 3 * time.Second
		k.inserted = func(name string) ([]string, error) {
			if name == "hba" {
				k.mu.Lock()
				k.living["hba"] = true
				k.mu.Unlock()
				<-time.After(probe)
			}
			return nil, nil
		}
		start := time.Now()
		if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
			t.Error(err)
		}
		<-time.After(time.Second)
		if !slices.ContainsFunc(l.Loaded(), func(l Loaded) bool { return l.Name == "hba" }) {
			t.Errorf("hba is not on the list of what was loaded: %v", l.Loaded())
		}
		want := []Late{{Module: "hba", Device: "0000:00:03.0", For: time.Since(start), Live: true}}
		if diff := cmp.Diff(want, l.Late()); diff != "" {
			t.Errorf("late (-want +got):\n%s", diff)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Finish(ctx, sysfs, nil, time.Hour)
		if want := "the kernel still has hba waiting for probes, perhaps its own of 0000:00:03.0, 2.05 s"; err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("while it lasts: %v, want %s", err, want)
		}
		if err := l.Finish(t.Context(), sysfs, nil, time.Hour); err != nil || time.Since(start) != probe {
			t.Errorf("%v after %v, want nothing after %v", err, time.Since(start), probe)
		}
		synctest.Wait()
		if got := l.Late(); got != nil {
			t.Errorf("after it late: %v", got)
		}
		l.Close()
	})
}

// A device that a probe makes, later than anybody looks, is one of the machine's: its driver is waited for,
// beside one whose probe hangs, and whether somebody follows or not.
func TestFinishServesWhatProbesMake(t *testing.T) {
	for _, follows := range []bool{false, true} {
		for _, places := range numbersOf {
			synctest.Test(t, func(t *testing.T) {
				l, k, sysfs, _, release := slow(t, places)
				defer close(release)
				quick := k.inserted
				k.inserted = func(name string) ([]string, error) {
					if name == "nic" {
						<-time.After(3 * patience) // virtio_pci: the look is over by then
					}
					return quick(name)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := l.Coldplug(ctx, sysfs, Network); err != nil {
					t.Error(err)
				}
				if follows {
					go func() { _ = l.Follow(ctx, sysfs, noEvents{}) }()
				}
				if err := l.Finish(ctx, sysfs, Network, time.Hour); err != nil {
					t.Error(err)
				}
				if k.tries["virtio"] != 1 {
					t.Errorf("follows %v, %d places: the device of a probe has no driver: %v", follows, places, k.tries)
				}
				// Of all devices the one that hangs is waited for, too.
				if err := l.Finish(ctx, sysfs, nil, time.Hour); err == nil || !strings.Contains(err.Error(), "hba") {
					t.Errorf("follows %v, %d places: %v, want that hba lasts", follows, places, err)
				}
				l.Close()
				cancel()
				synctest.Wait()
			})
		}
	}
}

// A machine that is only slow is waited for as long as it comes further; one where nothing does is not.
func TestFinishOfSlowMachine(t *testing.T) {
	const each = 8 * time.Second
	for standstill, want := range map[time.Duration]string{
		each + 2*time.Second: "",
		each - 2*time.Second: "load modules: nothing came to its end for 6 s; the kernel still has base in its init",
	} {
		synctest.Test(t, func(t *testing.T) {
			l, k, sysfs, _, release := slow(t, 1)
			close(release)
			quick := k.inserted
			k.inserted = func(name string) ([]string, error) {
				<-time.After(each)
				return quick(name)
			}
			start := time.Now()
			if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
				t.Error(err)
			}
			err := l.Finish(t.Context(), sysfs, nil, standstill)
			if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
				t.Errorf("standstill %v: %v after %v, want %q", standstill, err, time.Since(start), want)
			}
			if k.tries["virtio"] == 0 && want == "" {
				t.Errorf("not everything was loaded: %v", k.tries)
			}
			l.Close()
			<-time.After(10 * each) // the kernel ends what it has begun
		})
	}
}

// noEvents are those of a machine where nothing happens.
type noEvents struct{}

func (noEvents) Receive(ctx context.Context) (uevent.Event, error) {
	<-ctx.Done()
	return uevent.Event{}, ctx.Err()
}

// What is live already takes no place.
func TestLiveTakesNoPlace(t *testing.T) {
	l, k, _ := newTestLoader(t, hba, LoaderConfig{Workers: 1})
	k.living["a"] = true
	if !l.places.take(t.Context(), aName) {
		t.Fatal("no place")
	}
	defer l.places.give(aName)
	if err := l.Load(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestWorkers(t *testing.T) {
	for cpus, want := range map[int]int{0: 1, 1: 1, 2: 2, 8: 8, 16: 8, 256: 8} {
		if got := workersOf(cpus); got != want {
			t.Errorf("%d processors: %d places, want %d", cpus, got, want)
		}
	}
}

func TestDriversDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, sysfs, log, release := slow(t, 2)
		if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
			t.Error(err)
		}
		<-time.After(12*time.Second - patience)
		// Of what is asked for, the one is in its probe, and another is wrong.
		err := l.Drivers(t.Context(), Request{Name: "behind"}, Request{Name: "nothing"})
		if _, missing := errors.AsType[*MissingError](err); !missing || strings.Contains(err.Error(), "behind") {
			t.Errorf("what is wrong with a driver: %v", err)
		}
		want := []Late{{Module: "hba", Device: "0000:00:03.0", For: 12 * time.Second}}
		if diff := cmp.Diff(want, l.Late()); diff != "" {
			t.Errorf("late (-want +got):\n%s", diff)
		}
		if got, want := l.Late()[0].String(), "hba in its init, or its probe of 0000:00:03.0, 12 s"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = l.Finish(ctx, sysfs, nil, time.Hour)
		text := "load modules: context deadline exceeded; the kernel still has hba in its init, or its probe of " +
			"0000:00:03.0, 13 s: see its log"
		if err == nil || err.Error() != text {
			t.Errorf("while it lasts: %v, want %s", err, text)
		}
		synctest.Wait()
		k.mu.Lock()
		k.inserted = func(name string) ([]string, error) { return nil, fmt.Errorf("%s does not want", name) }
		k.mu.Unlock()
		close(release)
		if err := l.Finish(t.Context(), sysfs, nil, time.Hour); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := l.Late(); got != nil || k.tries["behind"] == 0 {
			t.Errorf("late: %v, tries %v", got, k.tries)
		}
		if !strings.Contains(log.String(), "behind does not want") {
			t.Errorf("what fails in the background is not reported:\n%s", log)
		}
	})
}

// After Close nothing new goes to the kernel.
func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, sysfs, log, release := slow(t, 2)
		if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
			t.Error(err)
		}
		l.Close()
		synctest.Wait()
		if late := l.Late(); len(late) != 1 || late[0].Module != "hba" {
			t.Errorf("late: %v", late)
		}
		close(release)
		synctest.Wait()
		if k.tries["behind"] != 0 || log.String() != "" {
			t.Errorf("tries %v, log %s", k.tries, log)
		}
	})
}
