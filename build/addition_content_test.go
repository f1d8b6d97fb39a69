package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
)

// A file that is no longer what it was when the image was laid out is named, and nothing is written.
func TestAddChanging(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(at string) error
		want   string
	}{
		"gone":    {os.Remove, "it is no longer there"},
		"shorter": {func(at string) error { return os.Truncate(at, 3) }, "100 bytes became 3"},
		"longer":  {func(at string) error { return os.Truncate(at, 200) }, "100 bytes became 200"},
		"another": {func(at string) error {
			return errors.Join(os.WriteFile(at+"~", make([]byte, 100), 0o600), os.Rename(at+"~", at))
		}, "another file took its place"},
		"a link": {
			func(at string) error { return errors.Join(os.Remove(at), os.Symlink("/etc/passwd", at)) },
			"a link took its place",
		},
		"written": {
			func(at string) error { return os.Chtimes(at, time.Unix(1, 0), time.Unix(1, 0)) },
			"it changed while",
		},
		"the same": {func(string) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := filepath.Join(dir, "file")
			buildtest.Write(t, at, make([]byte, 100))
			s := testSpec(t, buildtest.Tree(t))
			s.Add = []Addition{{dir, "/x"}}
			changed := false
			_, err := Image(t.Context(), s, func(step string, _, _ int) {
				if step == stepCompress && !changed {
					changed = true
					if err := tt.change(at); err != nil {
						t.Error(err)
					}
				}
			})
			if tt.want == "" {
				if err != nil || !changed {
					t.Errorf("changed %v, %v", changed, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), at) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(s.Out); err == nil {
				t.Error("there is an image all the same")
			}
		})
	}
}

// An SBOM has the hash of every added file, also of all names of one inode.
func TestAddSBOM(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two", "empty"} {
		buildtest.Write(t, filepath.Join(dir, name), []byte(strings.TrimPrefix(name, "empty")))
	}
	for _, name := range []string{"a", "z"} {
		if err := os.Link(filepath.Join(dir, "one"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Add, s.SBOM = []Addition{{dir, "/x"}}, filepath.Join(t.TempDir(), "sbom")
	makeImage(t, s)
	text, err := os.ReadFile(s.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	var doc v2_3.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range doc.Files {
		if name, ok := strings.CutPrefix(f.FileName, "./x/"); ok {
			got[name] = f.Checksums[1].Value
		}
	}
	one := sum256([]byte("one"))
	want := map[string]string{"a": one, "one": one, "z": one, "two": sum256([]byte("two")), "empty": sum256(nil)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What cannot be in an archive is refused by name before anything is read.
func TestAddTooLarge(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "huge")
	buildtest.Write(t, at, nil)
	if err := os.Truncate(at, 5<<30); err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Add = []Addition{{dir, "/x"}}
	began := time.Now()
	_, err := Image(t.Context(), s, nil)
	if err == nil || !strings.Contains(err.Error(), "4 GiB a file") || !strings.Contains(err.Error(), at) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	s.Exclude = []string{"x/huge"}
	if _, err := Image(t.Context(), s, nil); err != nil {
		t.Error(err)
	}
}

// A large sparse file goes through without being in memory, and unpacks to what it is.
func TestAddSparse(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 160 << 20
	_, err = f.WriteAt([]byte("in the middle"), 100<<20+123)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []compress.Compression{compress.LZ4, compress.Gzip} { // blocks, and a stream
		s := testSpec(t, buildtest.Tree(t))
		s.Add, s.Compress = []Addition{{dir, "/x"}}, c
		before, after := runtime.MemStats{}, runtime.MemStats{}
		runtime.ReadMemStats(&before)
		_, image := makeImage(t, s)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > size {
			t.Errorf("%v: %d MiB were allocated for %d", c, grown>>20, size>>20)
		}
		var found, length int64
		r, err := initramfs.ReadSource(t.Context(), initramfs.BytesSource(image), false)
		if err != nil {
			t.Fatal(err)
		}
		var sparse []*initramfs.File
		for i := range r.Files {
			if r.Files[i].Name == "x/sparse" {
				sparse, length = append(sparse, &r.Files[i]), r.Files[i].Size
			}
		}
		err = r.Each(t.Context(), sparse, func(f *initramfs.File, content io.Reader) error {
			piece := make([]byte, 1<<20)
			for at := int64(0); at < f.Size; at += 1 << 20 {
				if _, err := io.ReadFull(content, piece); err != nil {
					return err
				}
				if i := bytes.Index(piece, []byte("in the middle")); i >= 0 {
					found = at + int64(i)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if found != 100<<20+123 || length != size {
			t.Errorf("%v: %d bytes, data at %d", c, length, found)
		}
	}
}

// What is added beyond initramfs.quickFrom is the same on any number of cores.
func TestAddReproducible(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		text := make([]byte, 0, 1<<20)
		for n := i; len(text) < (1<<18)+i*20_000; n++ {
			text = fmt.Appendf(text, "line %d of it\n", n*n*n)
		}
		buildtest.Write(t, filepath.Join(dir, fmt.Sprintf("%d", i)), text)
	}
	buildtest.Write(t, filepath.Join(dir, "large"), []byte(strings.Repeat("0123456789abcdef", (16<<20+99)/16)))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []compress.Compression{compress.LZ4, compress.Zstd, compress.Gzip} {
		want := ""
		for _, cores := range []int{1, 4, 2} {
			s := testSpec(t, buildtest.Tree(t))
			s.Add, s.Compress = []Addition{{dir, "/x"}}, c
			s.SBOM = filepath.Join(t.TempDir(), "sbom")
			runtime.GOMAXPROCS(cores)
			r, _ := makeImage(t, s)
			list, err := os.ReadFile(s.SBOM)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(dir, "17"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(list), sum256(data)) {
				t.Errorf("%v: the SBOM has not the hash of an added file", c)
			}
			if got := r.SHA256 + sum256(list); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%v: another image on %d cores", c, cores)
			}
		}
	}
}
