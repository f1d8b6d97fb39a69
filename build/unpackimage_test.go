package build

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadImage(t *testing.T) {
	first := imageOf(t, file{name: "a", mode: typeDir | 0o755}, file{name: "a/b", mode: typeFile | 0o600, data: []byte("one")})
	second := imageOf(t, file{name: "a/b", mode: typeFile | 0o644, data: bytes.Repeat([]byte("two "), 1<<19)},
		file{name: "l", mode: typeLink | 0o777, data: []byte("a/b")}, file{name: "dev/null", mode: typeChar | 0o600, major: 1, minor: 3})
	image := slices.Concat(first, make([]byte, 512), packed(t, Zstd, second))
	files, segments, err := ReadImage(bytes.NewReader(image))
	if err != nil || len(segments) != 2 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%d %s %s %d %d,%d %q %d:%d links %d", f.Segment, f.ModeString(), f.Name,
			len(f.Data), f.Major, f.Minor, f.Target, f.UID, f.GID, f.NLink))
	}
	want := []string{
		`0 drwxr-xr-x a 0 0,0 "" 0:0 links 2`, `0 -rw------- a/b 3 0,0 "" 0:0 links 1`,
		`1 -rw-r--r-- a/b 2097152 0,0 "" 0:0 links 1`, `1 lrwxrwxrwx l 0 0,0 "a/b" 0:0 links 1`,
		`1 crw------- dev/null 0 1,3 "" 0:0 links 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !bytes.HasPrefix(files[2].Data, []byte("two two ")) {
		t.Errorf("content %q", files[2].Data[:8])
	}
	_, _, err = ReadImage(bytes.NewReader(image[:len(image)-100]))
	if err == nil || !strings.HasPrefix(err.Error(), "read image at byte ") {
		t.Errorf("cut off: %v", err)
	}
	// A header that promises 4 GiB does not cost them.
	huge := imageOf(t, file{name: "b", mode: typeFile | 0o600, data: []byte("one")})
	copy(huge[54:], "FFFFFFF0")
	if _, _, err := ReadImage(bytes.NewReader(huge)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("huge: %v", err)
	}
}

func FuzzReadImage(f *testing.F) {
	small := imageOf(f, file{name: configPath, mode: typeFile | 0o600, data: []byte("nodisk.profile=virt\n")}, file{name: "l", mode: typeLink | 0o777, data: []byte("t")})
	for _, c := range Compressions() {
		f.Add(append(packed(f, c, small), packed(f, None, small)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, _, err := ReadImage(bytes.NewReader(data))
		if err != nil {
			return
		}
		c, err := Inspect(bytes.NewReader(data))
		if err != nil || len(c.Files) != len(files) {
			t.Fatalf("%d files, inspect has %d, %v", len(files), len(c.Files), err)
		}
		for i, f := range files {
			if f.Mode&typeMask == typeFile && int64(len(f.Data)) != f.Size || f.Name != c.Files[i].Name {
				t.Errorf("%q has %d bytes of %d", f.Name, len(f.Data), f.Size)
			}
		}
	})
}
