package infile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var errEnough = errors.New("enough")

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A FIFO is waited for until its writer comes, and read to its end.
func TestReadFileOfFIFO(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "root=dhcp\n", strings.Repeat("x", 1<<20)} {
		name := fifo(t)
		done := make(chan error, 1)
		go func() {
			<-time.After(20 * time.Millisecond) // the reader is there first
			done <- os.WriteFile(name, []byte(text), 0o600)
		}()
		got, err := ReadFile(t.Context(), name)
		if err != nil || string(got) != text {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(text))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Nobody has to wait for a writer that does not come, or does not go.
func TestReadFileEnds(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} {
		name := fifo(t)
		if held {
			w, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close() //nolint:errcheck // nothing was written
		}
		ctx, end := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { end(errEnough) })
		began := time.Now()
		if _, err := ReadFile(ctx, name); !errors.Is(err, errEnough) || !strings.Contains(err.Error(), name) {
			t.Errorf("a writer %v: %v, want the file's name and %v", held, err, errEnough)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	}
}

// What must be a file is refused at once if it is none.
func TestRegular(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		file: "", fifo(t): "it is a pipe, which cannot be read twice: give a file",
		t.TempDir(): "it is a directory: give a file",
		"/dev/null": "it is a device: give a file",
	} {
		f, err := Regular(name)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			of, ok := errors.AsType[*fs.PathError](err)
			if !ok || of.Path != name || of.Err.Error() != want {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		} else if want != "" {
			t.Errorf("%s: no error, want %q", name, want)
		}
	}
}
