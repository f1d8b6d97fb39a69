package build

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/testenv"
)

// An unpackedFile is what a test sees of a file that an archive was unpacked to.
type unpackedFile struct {
	Mode, UID, GID uint32
	Links          uint64
	Device         [2]uint32
	Content        string // or the target of a link
	Same           string // the first name of its inode
}

// seen reads a tree from disk, by paths in it. Directories have no link count: how it is counted
// is the file system's.
func seen(t *testing.T, root string) map[string]unpackedFile {
	t.Helper()
	tree := make(map[string]unpackedFile)
	first := make(map[uint64]string)
	err := filepath.WalkDir(root, func(at string, _ os.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		is, err := lstat(at)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		f := unpackedFile{Mode: is.mode, UID: is.uid, GID: is.gid, Device: [2]uint32{is.major, is.minor}}
		switch is.mode & initramfs.TypeMask {
		case initramfs.TypeFile:
			text, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			if first[is.Ino] == "" {
				first[is.Ino] = name
			}
			f.Content, f.Links, f.Same = string(text), is.nlink, first[is.Ino]
		case initramfs.TypeLink:
			f.Content, err = os.Readlink(at)
		}
		tree[name] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// asRoot skips what only root can do.
func asRoot(t *testing.T) {
	t.Helper()
	testenv.Needs(t, os.Geteuid() == 0, "root, for device nodes and owners")
}

// realRoot is a tree with one of everything, as a root has it: merged /usr, nodes, a FIFO, names of one
// inode far from each other, setuid programs, files of service users, a sparse file.
func realRoot(t *testing.T) string {
	t.Helper()
	asRoot(t)
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "usr/lib/systemd", "usr/sbin", "dev", "etc", "var/lib/nfs", "tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(root, name) }
	buildtest.Write(t, in("usr/bin/su"), []byte("su"))
	buildtest.Write(t, in("usr/bin/wall"), []byte("wall"))
	buildtest.Write(t, in("var/lib/nfs/state"), []byte("state"))
	buildtest.Write(t, in("usr/bin/a"), []byte("one content of three names"))
	buildtest.Write(t, in("etc/large"), []byte(strings.Repeat("a line of a large file\n", 1<<15)))
	buildtest.Write(t, in("etc/empty"), nil)
	sparse, err := os.Create(in("var/sparse"))
	if err == nil {
		_, err = sparse.WriteAt([]byte("in the middle"), 1<<20)
		err = errors.Join(err, sparse.Truncate(3<<20), sparse.Close())
	}
	run := func(what error) { err = errors.Join(err, what) }
	for link, target := range map[string]string{
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib",
		"lib64": "usr/lib64", "etc/mtab": "../proc/mounts", "usr/sbin/init": "../lib/systemd/systemd",
	} {
		run(os.Symlink(target, in(link)))
	}
	for _, name := range []string{"usr/lib/b", "etc/z"} {
		run(os.Link(in("usr/bin/a"), in(name)))
	}
	run(os.Chown(in("usr/bin/wall"), 0, 5))
	run(os.Chown(in("var/lib/nfs"), 101, 65534))
	run(os.Chown(in("var/lib/nfs/state"), 101, 65534))
	run(os.Chmod(in("usr/bin/su"), 0o755|os.ModeSetuid))
	run(os.Chmod(in("usr/bin/wall"), 0o755|os.ModeSetgid))
	run(os.Chmod(in("tmp"), 0o777|os.ModeSticky))
	run(os.Chmod(in("root"), 0o700))
	run(os.Chmod(in("etc/empty"), 0o640))
	run(mknod(in("dev/console"), initramfs.TypeChar|0o600, 5, 1))
	run(mknod(in("dev/sda"), initramfs.TypeBlock|0o660, 8, 0))
	run(mknod(in("run.fifo"), initramfs.TypeFIFO|0o644, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// cpioOf unpacks with GNU cpio what its own -o makes of a tree, or an archive.
func cpioOf(t *testing.T, archive []byte) map[string]unpackedFile {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), buildtest.Tool(t, "cpio"), "-idm", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = out, strings.NewReader(string(archive))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio -i: %v: %s", err, text)
	}
	return seen(t, out)
}

// whole unpacks all segments of an image, one archive after the other, without our reader of cpio.
func whole(t *testing.T, image []byte) [][]byte {
	t.Helper()
	c, err := initramfs.Inspect(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for _, s := range c.Segments {
		d := compress.NewDecompressors(compress.NewInput(t.Context(), bytes.NewReader(image[s.Offset:]), int64(len(image))-s.Offset))
		stream, _, err := d.Open(s.Compression)
		if err != nil {
			t.Fatal(err)
		}
		archive, err := io.ReadAll(io.LimitReader(stream, s.Raw))
		d.Close()
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, archive)
	}
	return archives
}

// What is in the image of a real root is what cpio makes of that root: owners, modes, links, nodes, names of one
// inode, content, file by file, in every compression.
func TestAddRealRoot(t *testing.T) {
	root := realRoot(t)
	list := exec.CommandContext(t.Context(), "sh", "-c", "find . -mindepth 1 | cpio -o -H newc --quiet")
	list.Dir = root
	reference, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := cpioOf(t, reference)
	if len(want) < 25 || want["etc/z"].Same == "etc/z" && want["usr/lib/b"].Same == "usr/lib/b" ||
		want["etc/z"].Links != 3 {
		t.Fatalf("the tree is not what it should be: %v", want["etc/z"])
	}
	for _, c := range compress.Compressions() {
		t.Run(c.String(), func(t *testing.T) {
			s := testSpec(t, buildtest.Tree(t))
			s.Add, s.Owner, s.Compress = []Addition{{root, "/"}}, OwnerKeep, c
			_, image := makeImage(t, s)
			got := make(map[string]unpackedFile)
			for _, archive := range whole(t, image) {
				for name, f := range cpioOf(t, archive) {
					if _, twice := got[name]; !twice || f.Mode&initramfs.TypeMask != initramfs.TypeDir {
						got[name] = f
					}
				}
			}
			for name, f := range want {
				if diff := cmp.Diff(f, got[name]); diff != "" && f.Mode&initramfs.TypeMask != initramfs.TypeDir {
					t.Errorf("/%s (-cpio +nodisk):\n%s", name, diff)
				}
				delete(got, name)
			}
			for name := range got {
				if !slices.ContainsFunc([]string{
					"init", "etc/nodisk", "usr/lib/modules", "sys", "proc", "sysroot",
					"run", "dev/null",
				}, func(own string) bool {
					return name == own || strings.HasPrefix(name, own+"/")
				}) {
					t.Errorf("/%s is in the image only", name)
				}
			}
		})
	}
}

// inspected are the files of an image by name.
func inspected(t *testing.T, image []byte) map[string]ImageFile {
	t.Helper()
	files, _, err := ReadImage(strings.NewReader(string(image)))
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]ImageFile)
	for _, f := range files {
		list[f.Name] = f
	}
	return list
}

// Directories of the added root keep their modes and owners; nodisk's own files follow its links.
func TestAddMergedUsr(t *testing.T) {
	root := realRoot(t)
	s := testSpec(t, buildtest.Tree(t))
	s.Add, s.Owner = []Addition{{root, "/"}}, OwnerKeep
	_, image := makeImage(t, s)
	files := inspected(t, image)
	for name, mode := range map[string]uint32{
		"lib": initramfs.TypeLink | 0o777, "bin": initramfs.TypeLink | 0o777, "tmp": initramfs.TypeDir | 0o1777, "root": initramfs.TypeDir | 0o700,
		"init": initramfs.TypeFile | 0o755,
		"usr/lib/modules/" + buildtest.Release + "/modules.dep": initramfs.TypeFile | 0o644, "dev/console": initramfs.TypeChar | 0o600,
		"proc": initramfs.TypeDir | 0o555,
	} {
		if files[name].Mode != mode {
			t.Errorf("/%s has mode %o, want %o", name, files[name].Mode, mode)
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "lib/") || strings.HasPrefix(name, "bin/") {
			t.Errorf("/%s lies below a link", name)
		}
	}
}

// addTo makes an image with a tree that make writes.
func addTo(t *testing.T, change func(s *Spec), tree map[string]string) (Report, map[string]ImageFile, error) {
	t.Helper()
	root := t.TempDir()
	for name, text := range tree {
		at := filepath.Join(root, name)
		if target, link := strings.CutPrefix(text, "-> "); link {
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(target, at)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		buildtest.Write(t, at, []byte(text))
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Add = []Addition{{root, "/"}}
	if change != nil {
		change(&s)
	}
	r, err := Image(t.Context(), s, nil)
	if err != nil {
		return r, nil, err
	}
	image, err := os.ReadFile(s.Out)
	if err != nil {
		t.Fatal(err)
	}
	return r, inspected(t, image), nil
}

func TestAddLinks(t *testing.T) {
	modules := "/modules/" + buildtest.Release + "/modules.dep"
	for name, tt := range map[string]struct {
		tree map[string]string
		want string // a file that must be there
		err  string
	}{
		"relative": {map[string]string{"lib": "-> usr/lib", "usr/lib/x": "x"}, "usr/lib" + modules, ""},
		"absolute": {map[string]string{"lib": "-> /usr/lib", "usr/lib/x": "x"}, "usr/lib" + modules, ""},
		"chain": {map[string]string{
			"lib": "-> one", "one": "-> usr/two", "usr/two": "-> ../opt/lib",
			"opt/lib/x": "x",
		}, "opt/lib" + modules, ""},
		"dangling":  {map[string]string{"lib": "-> usr/lib"}, "usr/lib" + modules, ""},
		"above":     {map[string]string{"lib": "-> ../../usr/lib"}, "usr/lib" + modules, ""}, // /.. is /
		"modules":   {map[string]string{"lib/modules": "-> ../var/modules"}, "var" + modules, ""},
		"circle":    {map[string]string{"lib": "-> two", "two": "-> lib"}, "", "/lib/modules"},
		"itself":    {map[string]string{"lib": "-> lib"}, "", "lead round in circles"},
		"file":      {map[string]string{"lib": "a file"}, "", "needs /lib as a"},
		"etc/nodis": {map[string]string{"etc": "-> conf"}, "conf/nodisk/nodisk.conf", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, files, err := addTo(t, nil, tt.tree)
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case files[tt.want].Mode&initramfs.TypeMask != initramfs.TypeFile:
				t.Errorf("no /%s in the image", tt.want)
			}
		})
	}
}

// Nobody's setuid program becomes root's.
func TestAddSetuid(t *testing.T) {
	asRoot(t)
	root := t.TempDir()
	for name, is := range map[string]struct {
		uid, gid int
		mode     os.FileMode
	}{
		"root":  {0, 0, 0o755 | os.ModeSetuid | os.ModeSetgid},
		"user":  {1000, 1000, 0o755 | os.ModeSetuid | os.ModeSetgid},
		"group": {0, 42, 0o755 | os.ModeSetuid | os.ModeSetgid}, "plain": {1000, 0, 0o755},
	} {
		at := filepath.Join(root, name)
		buildtest.Write(t, at, []byte(name))
		if err := errors.Join(os.Chown(at, is.uid, is.gid), os.Chmod(at, is.mode)); err != nil {
			t.Fatal(err)
		}
	}
	modes := func(owner Owner) (map[string][3]uint32, Report) {
		s := testSpec(t, buildtest.Tree(t))
		s.Add, s.Owner = []Addition{{root, "/o"}}, owner
		r, image := makeImage(t, s)
		got := make(map[string][3]uint32)
		for _, archive := range whole(t, image) {
			for name, f := range cpioOf(t, archive) {
				if below, ok := strings.CutPrefix(name, "o/"); ok {
					got[below] = [3]uint32{f.Mode & 0o7777, f.UID, f.GID}
				}
			}
		}
		return got, r
	}
	got, r := modes(OwnerRoot)
	want := map[string][3]uint32{
		"root": {0o6755, 0, 0}, "user": {0o755, 0, 0}, "group": {0o4755, 0, 0},
		"plain": {0o755, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owner root (-want +got):\n%s", diff)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text,
		"setuid or setgid bits of 2 files are dropped") || !strings.Contains(text, "o/group, o/user") {
		t.Errorf("warnings %q", text)
	}
	got, r = modes(OwnerKeep)
	want = map[string][3]uint32{
		"root": {0o6755, 0, 0}, "user": {0o6755, 1000, 1000}, "group": {0o6755, 0, 42},
		"plain": {0o755, 1000, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owner keep (-want +got):\n%s", diff)
	}
	if strings.Contains(strings.Join(r.Warnings, "\n"), "setuid") {
		t.Errorf("warnings %q", r.Warnings)
	}
}
