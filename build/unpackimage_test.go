package build

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/initramfs"
)

func TestReadImage(t *testing.T) {
	first := imageOf(t, initramfs.Entry{Name: "a", Mode: initramfs.TypeDir | 0o755}, initramfs.Entry{
		Name: "a/b",
		Mode: initramfs.TypeFile | 0o600, Data: []byte("one"),
	})
	second := imageOf(t, initramfs.Entry{Name: "a/b", Mode: initramfs.TypeFile | 0o644, Data: bytes.Repeat([]byte("two "), 1<<19)},
		initramfs.Entry{Name: "l", Mode: initramfs.TypeLink | 0o777, Data: []byte("a/b")}, initramfs.Entry{
			Name: "dev/null",
			Mode: initramfs.TypeChar | 0o600, Major: 1, Minor: 3,
		})
	image := slices.Concat(first, make([]byte, 512), cpiotest.Packed(t, compress.Zstd, second))
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
	huge := imageOf(t, initramfs.Entry{Name: "b", Mode: initramfs.TypeFile | 0o600, Data: []byte("one")})
	copy(huge[54:], "FFFFFFF0")
	if _, _, err := ReadImage(bytes.NewReader(huge)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("huge: %v", err)
	}
}

func FuzzReadImage(f *testing.F) {
	small := imageOf(f, initramfs.Entry{Name: initramfs.ConfigPath, Mode: initramfs.TypeFile | 0o600, Data: []byte("nodisk.profile=virt\n")},
		initramfs.Entry{Name: "l", Mode: initramfs.TypeLink | 0o777, Data: []byte("t")})
	for _, c := range compress.Compressions() {
		f.Add(append(cpiotest.Packed(f, c, small), cpiotest.Packed(f, compress.None, small)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, _, err := ReadImage(bytes.NewReader(data))
		if err != nil {
			return
		}
		c, err := initramfs.Inspect(bytes.NewReader(data))
		if err != nil || len(c.Files) != len(files) {
			t.Fatalf("%d files, inspect has %d, %v", len(files), len(c.Files), err)
		}
		for i, f := range files {
			if f.Mode&initramfs.TypeMask == initramfs.TypeFile && int64(len(f.Data)) != f.Size || f.Name != c.Files[i].Name {
				t.Errorf("%q has %d bytes of %d", f.Name, len(f.Data), f.Size)
			}
		}
	})
}
