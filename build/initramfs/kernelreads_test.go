package initramfs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
)

// withChecksums makes an archive one of magic 070702; wrong is added to the checksums of its files.
func withChecksums(archive []byte, wrong uint32) []byte {
	out := bytes.Clone(archive)
	r := &cpioReader{r: bytes.NewReader(archive)}
	for {
		at := r.at + r.left + -(r.at+r.left)&3
		e, err := r.next()
		copy(out[at:], "070702")
		if err != nil {
			return out
		}
		content, _ := r.content(e.size)
		sum := uint32(0)
		for _, b := range content {
			sum += uint32(b)
		}
		if e.mode&TypeMask == TypeFile {
			copy(out[at+102:], fmt.Sprintf("%08x", sum+wrong))
		}
	}
}

// What the kernel refuses is refused, with the kernel's own words (init/initramfs.c).
func TestKernelRefuses(t *testing.T) {
	files := cpiotest.Archive(cpiotest.Dir("d"), cpiotest.Regular("d/f", "content"), cpiotest.Link("l", "d/f"))
	unterminated := bytes.Clone(files)
	unterminated[cpioHeader+1] = 'x'
	for name, tt := range map[string]struct {
		image []byte
		want  string // empty: it is taken
	}{
		"checksums":              {withChecksums(files, 0), ""},
		"wrong checksum":         {withChecksums(files, 1), "bad data checksum"},
		"wrong checksum, packed": {cpiotest.Packed(t, compress.Gzip, withChecksums(files, 1)), "bad data checksum"},
		"name without an end":    {unterminated, "malformed archive"},
		"packed after odd padding": {
			append(append(bytes.Clone(files), 0), cpiotest.Packed(t, compress.Gzip, files)...),
			"broken padding",
		},
		"archive after odd padding": {
			cpiotest.Packed(t, compress.Gzip, append(append(bytes.Clone(files), 0), files...)),
			"broken padding",
		},
		"archive after even padding": {cpiotest.Packed(t, compress.Gzip, append(append(bytes.Clone(files), 0, 0, 0, 0), files...)), ""},
		"lz4 block too large":        {[]byte("\x02\x21\x4c\x18\x00\x00\x00\x7f00000000"), "the kernel takes at most"},
	} {
		_, err := Inspect(bytes.NewReader(tt.image))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

// What the kernel passes over is told, and is not in what it makes of the image.
func TestKernelPassesOver(t *testing.T) {
	link := cpiotest.Link("l", strings.Repeat("x", cpioMaxLink+1))
	dir := cpiotest.File{Name: "d", Mode: TypeDir | 0o755, Data: []byte("content")}
	image := cpiotest.Archive(link, dir, cpiotest.Regular("nowhere/f", "x"), cpiotest.Regular("f", "x"))
	c, err := Inspect(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the kernel passes over /l: the target of a link has at most 4096 bytes, and this one 4097",
		"the kernel passes over /d: it is not a regular file and has content",
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var got []string
	r := readMemory(t, image)
	r.Tree.Walk("", r.Tree.Root, func(name string, _ *Inode) { got = append(got, name) })
	if !slices.Equal(got, []string{"f"}) {
		t.Errorf("the tree is %v, want f alone", got)
	}
	if c, err = Inspect(bytes.NewReader(withChecksums(cpiotest.Archive(cpiotest.Regular("f", "x")), 0))); err != nil ||
		len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "5.19") {
		t.Errorf("%q, %v", c.Warnings, err)
	}
}

func readMemory(t *testing.T, image []byte) *Reader {
	t.Helper()
	r, err := ReadSource(t.Context(), BytesSource(image), true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A file is read as the node has it.
func TestWriteFile(t *testing.T) {
	list := []cpiotest.File{cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"), cpiotest.Link("lib", "/usr/lib"), cpiotest.Regular("usr/lib/f",
		"old"), cpiotest.Link("out", "../../lib/f"), cpiotest.Link("bad", "nowhere"), cpiotest.Regular("empty", "")}
	list = append(list, cpiotest.HardLinks(7, "linked", "h1", "h2")...)
	image := slices.Concat(cpiotest.Archive(list...), cpiotest.Packed(t, compress.Zstd, cpiotest.Archive(cpiotest.Regular("lib/f", "new"))))
	r := readMemory(t, image)
	for name, want := range map[string]string{
		"lib/f": "new", "/usr//lib/./f": "new", "out": "new", "h1": "linked",
		"h2": "linked", "empty": "",
	} {
		var out bytes.Buffer
		if err := r.WriteFile(t.Context(), &out, name); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", name, out.String(), err, want)
		}
	}
	for name, want := range map[string]string{
		"lib": "/usr/lib is a directory", "x": "it has no /x",
		"bad": "to which its link /bad leads",
	} {
		if err := r.WriteFile(t.Context(), io.Discard, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}

// Nothing is written outside of the directory, whatever names and links an image has.
func TestUnpackStaysInside(t *testing.T) {
	above := t.TempDir()
	victim := filepath.Join(above, "victim")
	if err := os.Mkdir(victim, 0o755); err != nil {
		t.Fatal(err)
	}
	setuid := cpiotest.Regular("su", "x")
	setuid.Mode |= 0o4000
	image := cpiotest.Archive(append([]cpiotest.File{
		cpiotest.Link("a", victim), cpiotest.Regular("a/planted", "x"), cpiotest.Link("b", "../victim"), cpiotest.Regular("b/planted", "x"),
		cpiotest.Regular("../victim/up", "x"), cpiotest.Regular(victim+"/absolute", "x"), cpiotest.Dir("d"), cpiotest.Regular("d/f", "content"),
		cpiotest.Link("d/f2", "../../../victim"), setuid,
	}, cpiotest.HardLinks(3, "shared", "h1", "d/h2")...)...)
	dir := filepath.Join(above, "out")
	done, err := readMemory(t, image).Unpack(t.Context(), Unpacking{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(victim); err != nil || len(entries) > 0 {
		t.Errorf("the victim has %v, %v", entries, err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "a")); err != nil || target != victim {
		t.Errorf("a leads to %q, %v", target, err)
	}
	one, err1 := os.Stat(filepath.Join(dir, "h1"))
	two, err2 := os.Stat(filepath.Join(dir, "d/h2"))
	if err1 != nil || err2 != nil || !os.SameFile(one, two) {
		t.Errorf("h1 and d/h2 are not one file: %v, %v", err1, err2)
	}
	if info, err := os.Stat(filepath.Join(dir, "su")); err != nil || info.Mode() != 0o755 || len(done.Notes) == 0 ||
		!strings.Contains(done.Notes[0], "--setid") {
		t.Errorf("su: %v, %v; notes %q", info.Mode(), err, done.Notes)
	}
	if _, err := readMemory(t, image).Unpack(t.Context(), Unpacking{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	other := filepath.Join(above, "other")
	if _, err := readMemory(t, image).Unpack(t.Context(), Unpacking{Dir: other, SetID: true}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(other, "su")); err != nil || info.Mode()&os.ModeSetuid == 0 {
		t.Errorf("su with --setid: %v, %v", info.Mode(), err)
	}
}

func TestDiff(t *testing.T) {
	owned := cpiotest.Regular("o", "x")
	owned.UID = 7
	old := cpiotest.Archive(cpiotest.Dir("d"), cpiotest.Regular("d/same", "same"), cpiotest.Regular("gone", "x"), cpiotest.Regular("c", "one"),
		cpiotest.Link("l", "a"), cpiotest.Regular("o", "x"))
	now := cpiotest.Archive(cpiotest.Dir("d"), cpiotest.Regular("d/same", "same"), cpiotest.Regular("new", "x"), cpiotest.Regular("c", "two"), cpiotest.Link("l",
		"b"), owned)
	a, b := readMemory(t, old), readMemory(t, cpiotest.Packed(t, compress.Zstd, now))
	d, err := Diff(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{"c", Changed, []string{"content"}},
		{"gone", Removed, []string{"1 bytes"}},
		{"l", Changed, []string{"target a -> b"}},
		{"new", Added, []string{"1 bytes"}},
		{"o", Changed, []string{"owner 0:0 -> 7:0"}},
	}
	if diff := cmp.Diff(want, d.Files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d, err = Diff(t.Context(), a, readMemory(t, cpiotest.Packed(t, compress.LZ4, old))); err != nil || !d.Same() {
		t.Errorf("the same in lz4: %+v, %v", d, err)
	}
}

// Sums and owners of the listing.
func TestInspectOwnersAndLinks(t *testing.T) {
	owned := cpiotest.Regular("o", "x")
	owned.UID, owned.GID = 101, 65534
	c, err := Inspect(bytes.NewReader(cpiotest.Archive(append(cpiotest.HardLinks(3, "shared", "h1", "h2"), owned)...)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.WriteText(&out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n-rwxr-xr-x 101:65534         1 /o\n",
		"\n-rwxr-xr-x 0:0               6 /h2 = /h1\n", "\n  7  ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}
