package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// naming is a module that names firmware.
func naming(name string, firmware ...string) initramfs.Entry {
	m := kotest.Module{Name: name, Vermagic: buildtest.Release + " SMP "}
	for _, f := range firmware {
		m.Info = append(m.Info, ko.Field{Key: "firmware", Value: f})
	}
	return initramfs.Entry{Name: "lib/modules/" + buildtest.Release + "/kernel/" + name + ".ko", Data: m.Bytes()}
}

// firmwareTree makes a /lib/firmware: one file for each way of the search.
func firmwareTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"plain.bin": "plain", "updates/updated.bin": "updated", "updated.bin": "old",
		buildtest.Release + "/release.bin": "release", "release.bin": "old",
		"updates/" + buildtest.Release + "/both.bin": "both", "updates/both.bin": "old",
		"card/a.bin": "a", "card/b.bin": "b", "card/sub/c.bin": "c", "card/readme.txt": "",
		"updates/card/a.bin": "new a",
		"packed.bin":         "packed", "zst.bin": "zst", "late.bin": "late", "card/x.bin": "x", "unused.bin": "unused",
	} {
		buildtest.Write(t, filepath.Join(root, name), []byte(text))
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), buildtest.Tool(t, name), args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	// The options of linux-firmware's copy-firmware.sh.
	run("xz", "-C", "crc32", "packed.bin", "card/x.bin")
	run("zstd", "-q", "--rm", "zst.bin")
	// A plain file in the last directory comes before a packed one in the first.
	buildtest.Write(t, filepath.Join(root, "updates/late.bin"), []byte("too early"))
	run("xz", "-C", "crc32", "updates/late.bin")
	for name, target := range map[string]string{
		"link.bin": "plain.bin", "card/up.bin": "../plain.bin", "alone.bin": "unused.bin",
		"packed-link.bin.xz": "packed.bin.xz", "dangling.bin": "nothing",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFirmware(t *testing.T) {
	root := firmwareTree(t)
	second := t.TempDir()
	buildtest.Write(t, filepath.Join(second, "plain.bin"), []byte("of the second directory"))
	buildtest.Write(t, filepath.Join(second, "second.bin"), []byte("second"))
	search := newFirmwareSearch([]string{root, second, filepath.Join(root, "nowhere")}, buildtest.Release)
	set, err := search.firmware(t.Context(), []initramfs.Entry{
		naming("one", "plain.bin", "link.bin", "updated.bin", "release.bin", "both.bin", "late.bin", "missing.bin"),
		naming("two", "packed.bin", "packed-link.bin", "zst.bin", "card/*.bin", "second.bin", "alone.bin",
			"dangling.bin", "missing.bin"),
		naming("three", "plain.bin", "../etc/passwd", "/etc/passwd", ".", "[", "nothing/*"),
		naming("four"),
		{Name: "no module"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range set.files {
		text := string(f.Data)
		if f.Mode&initramfs.TypeMask == initramfs.TypeLink {
			text = "-> " + text
		}
		got[f.Name] = text
	}
	want := map[string]string{
		"lib/firmware/plain.bin": "plain", "lib/firmware/link.bin": "-> plain.bin",
		"lib/firmware/card/up.bin": "-> ../plain.bin",
		"lib/firmware/updated.bin": "updated", "lib/firmware/release.bin": "release", "lib/firmware/both.bin": "both",
		"lib/firmware/late.bin":   "late",
		"lib/firmware/packed.bin": "packed", "lib/firmware/packed-link.bin": "-> packed.bin",
		"lib/firmware/zst.bin":    "zst",
		"lib/firmware/card/a.bin": "new a", "lib/firmware/card/b.bin": "b", "lib/firmware/card/x.bin": "x",
		"lib/firmware/second.bin": "second", "lib/firmware/alone.bin": "unused",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantMissing := map[string][]string{
		"one": {"missing.bin"}, "two": {"dangling.bin", "missing.bin"}, "three": {
			"../etc/passwd", "/etc/passwd", ".",
			"[", "nothing/*",
		},
	}
	if diff := cmp.Diff(wantMissing, set.missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// A damaged file ends the build and is named.
func TestFirmwareDamaged(t *testing.T) {
	root := t.TempDir()
	buildtest.Write(t, filepath.Join(root, "bad.bin.xz"), []byte("\xfd7zXZ\x00 and rubbish"))
	_, err := newFirmwareSearch([]string{root}, buildtest.Release).firmware(t.Context(), []initramfs.Entry{naming("one", "bad.bin")})
	if err == nil || !strings.Contains(err.Error(), "read firmware bad.bin: unpack "+root+"/bad.bin.xz") {
		t.Errorf("got %v", err)
	}
}

func TestFirmwareNote(t *testing.T) {
	set := firmwareSet{named: 9, lacking: 3, missing: map[string][]string{
		"bnx2x": {"a", "b"}, "tg3": {"c"},
		"zzz": {"c"},
	}}
	want := []string{"firmware: 3 of 9 files that modules name are not in /a, /b: bnx2x, tg3, zzz; on Debian in " +
		"firmware-bnx2x, firmware-misc-nonfree; " +
		"matters only for adapters that the nodes have"}
	if diff := cmp.Diff(want, set.note([]string{"/a", "/b"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if note := (firmwareSet{named: 9}).note(nil); note != nil {
		t.Errorf("nothing is missing, but: %q", note)
	}
}

// The firmware of a real module lies in the image, beside the module tree's or
// of the directory that was given, or not at all.
func TestFirmwareOfImage(t *testing.T) {
	root := buildtest.Tree(t)
	dir := filepath.Join(root, "lib/modules", buildtest.Release)
	buildtest.Write(t, filepath.Join(dir, "kernel/drivers/net/card.ko"), naming("card", "card.bin").Data)
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, filepath.Join(dir, "modules.dep"), append(dep, "kernel/drivers/net/card.ko:\n"...))
	buildtest.Write(t, filepath.Join(root, firmwareDir, "card.bin"), []byte("of the root"))
	given := t.TempDir()
	buildtest.Write(t, filepath.Join(given, "card.bin"), []byte("of the directory"))
	for name, tt := range map[string]struct {
		firmware []string
		want     string
	}{
		"default": {nil, "of the root"}, "folder": {[]string{given}, "of the directory"},
		"none":          {[]string{NoFirmware}, ""},
		"nothing there": {[]string{t.TempDir()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, root)
			s.Profiles, s.Config, s.ExtraModules, s.Firmware, s.Compress = []string{"virt"}, nil, []string{"card"},
				tt.firmware, compress.None
			r, image := makeImage(t, s)
			at := t.TempDir()
			unpackImage(t, image, at)
			data, err := os.ReadFile(filepath.Join(at, "lib/firmware/card.bin"))
			if string(data) != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("the image has %q, want %q: %v", data, tt.want, err)
			}
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(text.String(), "  firmware\n"); got != (tt.want != "") {
				t.Errorf("the summary:\n%s", &text)
			}
			if note := strings.Contains(text.String(),
				"note: firmware: 1 of 1 file"); note != (name == "nothing there") {
				t.Errorf("the summary:\n%s", &text)
			}
		})
	}
	for _, firmware := range [][]string{
		{filepath.Join(given, "nothing")},
		{filepath.Join(given, "card.bin")},
		{NoFirmware, given},
	} {
		s := testSpec(t, root)
		s.Firmware = firmware
		if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "find firmware") {
			t.Errorf("--firmware %v: %v", firmware, err)
		}
	}
}
