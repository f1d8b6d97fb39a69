package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/output"
)

// An output goes through a symbolic link: the link stays, its target is replaced.
func TestImageThroughLink(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	dir := filepath.Dir(s.Out)
	buildtest.Write(t, filepath.Join(dir, "real", "image"), []byte("old"))
	buildtest.Symlink(t, "real/image", s.Out)
	s.SBOM = filepath.Join(dir, "list.json")
	buildtest.Symlink(t, "real/list.json", s.SBOM) // to nothing yet
	if _, err := Image(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{s.Out, s.SBOM} {
		if info, err := os.Lstat(name); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no longer a link: %v", name, err)
		}
	}
	if len(buildtest.ReadText(t, filepath.Join(dir, "real", "image"))) < 1000 ||
		!strings.Contains(buildtest.ReadText(t, filepath.Join(dir, "real", "list.json")), "SPDX-2.3") {
		t.Error("the targets of the links were not written")
	}
	if diff := cmp.Diff([]string{"image", "list.json"}, buildtest.Names(t, filepath.Join(dir, "real"))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestImageToPipes(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	_, want := makeImage(t, s)
	t.Run("stdout", func(t *testing.T) {
		s := s
		var out bytes.Buffer
		s.Out, s.Stdout = output.Stdout, &out
		t.Chdir(t.TempDir())
		if _, err := Image(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%d bytes on the standard output, want the image's %d", out.Len(), len(want))
		}
		if left := buildtest.Names(t, "."); left != nil {
			t.Errorf("also written: %v", left)
		}
	})
	t.Run("FIFO", func(t *testing.T) {
		s := s
		s.Out = filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(s.Out, 0o600); err != nil {
			t.Fatal(err)
		}
		read := make(chan []byte)
		go func() {
			data, err := os.ReadFile(s.Out)
			if err != nil {
				data = []byte(err.Error())
			}
			read <- data
		}()
		if _, err := Image(t.Context(), s, nil); err != nil {
			t.Error(err)
		}
		if got := <-read; !bytes.Equal(got, want) {
			t.Errorf("%d bytes through the FIFO, want the image's %d", len(got), len(want))
		}
		if info, err := os.Lstat(s.Out); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
			t.Errorf("the FIFO became %v, %v", info.Mode(), err)
		}
	})
	t.Run("descriptor", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		s := s
		s.Out = fmt.Sprintf("/proc/self/fd/%d", w.Fd())
		read := make(chan []byte)
		go func() {
			data, err := io.ReadAll(r)
			if err != nil {
				data = []byte(err.Error())
			}
			read <- data
		}()
		_, err = Image(t.Context(), s, nil)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Error(err)
		}
		if got := <-read; !bytes.Equal(got, want) {
			t.Errorf("%d bytes through the descriptor, want the image's %d", len(got), len(want))
		}
		_ = r.Close()
	})
}

func TestOutputFull(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	s.Out = "/dev/full"
	_, err := Image(t.Context(), s, nil)
	if err == nil || err.Error() != "write image: /dev/full: no space left on device" {
		t.Errorf("error %v", err)
	}
}

// All that a build writes is there, or nothing: also when it is the list, which comes last, that fails.
func TestImageWithoutItsList(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	buildtest.Write(t, s.Out, []byte("old"))
	key := filepath.Join(t.TempDir(), "key")
	buildtest.Write(t, key, []byte("x"))
	s.Secrets = []Secret{{Source: key, Destination: "k"}}
	s.SecretOut, s.SBOM = s.Out+".secret", "/dev/full"
	_, err := Image(t.Context(), s, nil)
	if err == nil || err.Error() != "write SBOM: /dev/full: no space left on device" {
		t.Errorf("error %v", err)
	}
	if got := buildtest.ReadText(t, s.Out); got != "old" {
		t.Errorf("the old image became %d bytes", len(got))
	}
	if diff := cmp.Diff([]string{filepath.Base(s.Out)}, buildtest.Names(t, filepath.Dir(s.Out))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
