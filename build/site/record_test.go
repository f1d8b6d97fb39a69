package site

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func recordFile(t *testing.T, at, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// What goes is what nodisk made, where links lead to it; the links stay.
func TestRecordLink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := Record{Dir: filepath.Join(dir, "state")}
	image := recordFile(t, filepath.Join(dir, "real/target.img"), "image")
	link, above := filepath.Join(dir, "cur.img"), filepath.Join(dir, "above")
	for at, target := range map[string]string{link: "real/target.img", above: "real"} {
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
	}
	// Under one name or another, it is one file of one kernel.
	if err := errors.Join(r.Add(t.Context(), "6.1", filepath.Join(above, "target.img")), r.Add(t.Context(), "6.2",
		link)); err != nil {
		t.Fatal(err)
	}
	if list, err := r.Of("6.1"); err != nil || list != nil {
		t.Errorf("of 6.1 still: %v, %v", list, err)
	}
	done, err := r.Remove(t.Context(), "6.2", false)
	if diff := cmp.Diff([]Removal{{Path: image}}, done); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := os.Lstat(image); err == nil {
		t.Error("the image stayed")
	}
	for _, at := range []string{link, above} {
		if _, err := os.Lstat(at); err != nil {
			t.Errorf("somebody's link: %v", err)
		}
	}
}

// What is there instead of an image is neither waited for nor removed, and it is told once.
func TestRecordNotRegular(t *testing.T) {
	for name, put := range map[string]func(at string) error{
		"fifo":        func(at string) error { return syscall.Mkfifo(at, 0o600) },
		"directory":   func(at string) error { return os.Mkdir(at, 0o700) },
		"link":        func(at string) error { return os.Symlink(at+".bak", at) },
		"link in air": func(at string) error { return os.Symlink("nowhere", at) },
	} {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r := Record{Dir: filepath.Join(dir, "state")}
		image := recordFile(t, filepath.Join(dir, "image"), "image")
		if err := r.Add(t.Context(), "6.1", image); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(image, image+".bak"), put(image)); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			done, err := r.Remove(t.Context(), "6.1", false)
			want := []Removal{{image, "it was changed since nodisk made it"}}
			if diff := cmp.Diff(want, done); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
			if done, err = r.Remove(t.Context(), "6.1", false); err != nil || done != nil {
				t.Errorf("%s: told again: %v, %v", name, done, err)
			}
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: clean hangs", name)
		}
		if _, err := os.Lstat(image); err != nil {
			t.Errorf("%s: somebody else's: %v", name, err)
		}
		// It can never have been made, either.
		if err := r.Add(t.Context(), "6.1", image); name != "link" && err == nil {
			t.Errorf("%s is recorded", name)
		}
	}
	// A directory that is gone, with a file in its place.
	dir := t.TempDir()
	r := Record{Dir: filepath.Join(dir, "state")}
	image := recordFile(t, filepath.Join(dir, "tftp/image"), "image")
	if err := r.Add(t.Context(), "6.1", image); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(image)); err != nil {
		t.Fatal(err)
	}
	recordFile(t, filepath.Dir(image), "a file")
	if done, err := r.Remove(t.Context(), "6.1", false); err != nil || done != nil {
		t.Errorf("a file above: %v, %v", done, err)
	}
}

// What ends the command ends it, also while it reads an image.
func TestRecordInterrupted(t *testing.T) {
	dir := t.TempDir()
	r := Record{Dir: filepath.Join(dir, "state")}
	image := recordFile(t, filepath.Join(dir, "image"), "image")
	if err := r.Add(t.Context(), "6.1", image); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Remove(ctx, "6.1", false); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := r.Add(ctx, "6.1", image); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(image); err != nil {
		t.Error(err)
	}
	if list, err := r.Of("6.1"); err != nil || len(list) != 1 {
		t.Errorf("recorded: %v, %v", list, err)
	}
}

// Many at once lose nothing: an image of one kernel is of the last that made it, and of no other.
func TestRecordAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := Record{Dir: filepath.Join(dir, "state")}
	const each = 8
	images := make([]string, each)
	for i := range images {
		images[i] = recordFile(t, filepath.Join(dir, string(rune('a'+i))), "image")
	}
	shared := recordFile(t, filepath.Join(dir, "shared"), "image")
	var group sync.WaitGroup
	for i, image := range images {
		group.Go(func() {
			release := []string{"6.1", "6.2"}[i%2]
			if err := r.Add(t.Context(), release, image, shared); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	count := make(map[string]int)
	for _, release := range []string{"6.1", "6.2"} {
		list, err := r.Of(release)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			count[filepath.Base(m.Path)]++
		}
	}
	want := map[string]int{"shared": 1}
	for _, image := range images {
		want[filepath.Base(image)] = 1
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("how often each is recorded (-want +got):\n%s", diff)
	}
}

// Who waits for another does so no longer than he is let.
func TestRecordLocked(t *testing.T) {
	dir := t.TempDir()
	r := Record{Dir: filepath.Join(dir, "state")}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := r.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	image := recordFile(t, filepath.Join(dir, "image"), "image")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("asked to end"))
	defer cancel()
	var told []string
	r.Tell = func(s string) { told = append(told, s) }
	if err := r.Add(ctx, "6.1", image); err == nil ||
		!strings.Contains(err.Error(), "lock "+r.Dir+"/.lock: asked to end") {
		t.Errorf("error %v", err)
	}
	if want := "waiting for another nodisk, which has the record of images in " + r.Dir; len(told) != 1 ||
		told[0] != want {
		t.Errorf("told %q, want %q", told, want)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(t.Context(), "6.1", image); err != nil {
		t.Error(err)
	}
}
