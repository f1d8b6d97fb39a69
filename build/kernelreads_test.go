package build

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
		if e.mode&typeMask == typeFile {
			copy(out[at+102:], fmt.Sprintf("%08x", sum+wrong))
		}
	}
}

// What the kernel refuses is refused, with the kernel's own words (init/initramfs.c).
func TestKernelRefuses(t *testing.T) {
	files := newc(dirEntry("d"), fileEntry("d/f", "content"), linkEntry("l", "d/f"))
	unterminated := bytes.Clone(files)
	unterminated[cpioHeader+1] = 'x'
	for name, tt := range map[string]struct {
		image []byte
		want  string // empty: it is taken
	}{
		"checksums":              {withChecksums(files, 0), ""},
		"wrong checksum":         {withChecksums(files, 1), "bad data checksum"},
		"wrong checksum, packed": {packed(t, Gzip, withChecksums(files, 1)), "bad data checksum"},
		"name without an end":    {unterminated, "malformed archive"},
		"packed after odd padding": {append(append(bytes.Clone(files), 0), packed(t, Gzip, files)...),
			"broken padding"},
		"archive after odd padding": {packed(t, Gzip, append(append(bytes.Clone(files), 0), files...)),
			"broken padding"},
		"archive after even padding": {packed(t, Gzip, append(append(bytes.Clone(files), 0, 0, 0, 0), files...)), ""},
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
	link := linkEntry("l", strings.Repeat("x", cpioMaxLink+1))
	dir := archived{Name: "d", Mode: typeDir | 0o755, Data: []byte("content")}
	image := newc(link, dir, fileEntry("nowhere/f", "x"), fileEntry("f", "x"))
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
	r.tree.walk("", r.tree.root, func(name string, _ *inode) { got = append(got, name) })
	if !slices.Equal(got, []string{"f"}) {
		t.Errorf("the tree is %v, want f alone", got)
	}
	if c, err = Inspect(bytes.NewReader(withChecksums(newc(fileEntry("f", "x")), 0))); err != nil ||
		len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "5.19") {
		t.Errorf("%q, %v", c.Warnings, err)
	}
}

func readMemory(t *testing.T, image []byte) *ImageReader {
	t.Helper()
	r, err := ReadSource(t.Context(), bytesSource(image), true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A file is read as the node has it.
func TestWriteFile(t *testing.T) {
	list := []archived{dirEntry("usr"), dirEntry("usr/lib"), linkEntry("lib", "/usr/lib"), fileEntry("usr/lib/f", "old"), linkEntry("out", "../../lib/f"), linkEntry("bad", "nowhere"), fileEntry("empty", "")}
	list = append(list, hardLinks(7, "linked", "h1", "h2")...)
	image := slices.Concat(newc(list...), packed(t, Zstd, newc(fileEntry("lib/f", "new"))))
	r := readMemory(t, image)
	for name, want := range map[string]string{"lib/f": "new", "/usr//lib/./f": "new", "out": "new", "h1": "linked",
		"h2": "linked", "empty": ""} {
		var out bytes.Buffer
		if err := r.WriteFile(t.Context(), &out, name); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", name, out.String(), err, want)
		}
	}
	for name, want := range map[string]string{"lib": "/usr/lib is a directory", "x": "it has no /x",
		"bad": "to which its link /bad leads"} {
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
	setuid := fileEntry("su", "x")
	setuid.Mode |= 0o4000
	image := newc(append([]archived{
		linkEntry("a", victim), fileEntry("a/planted", "x"), linkEntry("b", "../victim"), fileEntry("b/planted", "x"),
		fileEntry("../victim/up", "x"), fileEntry(victim+"/absolute", "x"), dirEntry("d"), fileEntry("d/f", "content"),
		linkEntry("d/f2", "../../../victim"), setuid,
	}, hardLinks(3, "shared", "h1", "d/h2")...)...)
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
	owned := fileEntry("o", "x")
	owned.UID = 7
	old := newc(dirEntry("d"), fileEntry("d/same", "same"), fileEntry("gone", "x"), fileEntry("c", "one"),
		linkEntry("l", "a"), fileEntry("o", "x"))
	now := newc(dirEntry("d"), fileEntry("d/same", "same"), fileEntry("new", "x"), fileEntry("c", "two"), linkEntry("l",
		"b"), owned)
	a, b := readMemory(t, old), readMemory(t, packed(t, Zstd, now))
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
	if d, err = Diff(t.Context(), a, readMemory(t, packed(t, LZ4, old))); err != nil || !d.Same() {
		t.Errorf("the same in lz4: %+v, %v", d, err)
	}
}

// Sums and owners of the listing.
func TestInspectOwnersAndLinks(t *testing.T) {
	owned := fileEntry("o", "x")
	owned.UID, owned.GID = 101, 65534
	c, err := Inspect(bytes.NewReader(newc(append(hardLinks(3, "shared", "h1", "h2"), owned)...)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.WriteText(&out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n-rwxr-xr-x 101:65534         1 /o\n",
		"\n-rwxr-xr-x 0:0               6 /h2 = /h1\n", "\n  7  "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}
