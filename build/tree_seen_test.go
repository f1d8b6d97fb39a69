package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// A copy of a tree that keeps times makes the image that the tree makes: what depmod passed over stays passed over,
// and a vendor's driver that came after it is in.
func TestImageOfCopiedTree(t *testing.T) {
	root := buildtest.Tree(t)
	dir := filepath.Join(root, "lib", "modules", buildtest.Release)
	put := func(at string, modified time.Time) string {
		m := kotest.Module{Name: ko.ModuleName(at), Vermagic: buildtest.Release + " SMP ", OutOfTree: true, Pad: 5000}
		file := filepath.Join(dir, at)
		buildtest.Write(t, file, m.Bytes())
		if err := os.Chtimes(file, modified, modified); err != nil {
			t.Fatal(err)
		}
		return file
	}
	old := time.Unix(1_600_000_000, 0)
	err := filepath.Walk(dir, func(at string, info os.FileInfo, err error) error { // as packages have them
		if err != nil || info.IsDir() {
			return err
		}
		return os.Chtimes(at, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Tick(t, put("updates/ext4.ko", old.Add(time.Hour)))
	dep := filepath.Join(dir, "modules.dep")
	text, err := os.ReadFile(dep)
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, dep, text)
	buildtest.Tick(t, dep)
	buildtest.Tick(t, put("updates/virtio_net.ko", time.Now()))

	made := func(root string) ([]byte, Report) {
		s := testSpec(t, root)
		s.SkipCheck = true
		r, err := Image(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(s.Out)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(s.Out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		c, err := initramfs.Inspect(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"kernel/fs/ext4/ext4.ko", "updates/virtio_net.ko"} {
			at := initramfs.ModulesDir + "/" + buildtest.Release + "/" + want
			if !slices.ContainsFunc(c.Files, func(f initramfs.File) bool { return f.Name == at }) {
				t.Errorf("%s: %s is not in the image", root, want)
			}
		}
		return image, r
	}
	said := func(lines []string, want string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) })
	}
	image, r := made(root)
	if !said(r.Warnings, "module virtio_net: updates/virtio_net.ko is in the image, not "+
		"kernel/drivers/net/virtio_net.ko.gz, which modules.dep names: depmod has not run since") ||
		said(r.Warnings, "ext4.ko") || said(r.Notes, "ext4.ko") {
		t.Errorf("warnings %q, notes %q", r.Warnings, r.Notes)
	}
	for name, command := range map[string]string{
		"cp": `cp -a "$1/." "$2"`, "tar": `tar -C "$1" -c . | tar -C "$2" -x`, "hard links": `cp -al "$1/." "$2"`,
	} {
		to := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command, "sh", root, to)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		again, r := made(to)
		if !bytes.Equal(again, image) {
			t.Errorf("%s: the image of the copy is another", name)
		}
		if !said(r.Warnings, "depmod may not have run since it came") || said(r.Warnings, "has not run") ||
			said(r.Warnings, "ext4.ko") {
			t.Errorf("%s: warnings %q", name, r.Warnings)
		}
		if !said(r.Notes, "module ext4: kernel/fs/ext4/ext4.ko.gz is in the image, which modules.dep names, not "+
			"updates/ext4.ko, which is older than that: if depmod") {
			t.Errorf("%s: notes %q", name, r.Notes)
		}
	}
}
