package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		switch is.mode & typeMask {
		case typeFile:
			text, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			if first[is.ino] == "" {
				first[is.ino] = name
			}
			f.Content, f.Links, f.Same = string(text), is.nlink, first[is.ino]
		case typeLink:
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
	needs(t, os.Geteuid() == 0, "root, for device nodes and owners")
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
	write(t, in("usr/bin/su"), []byte("su"))
	write(t, in("usr/bin/wall"), []byte("wall"))
	write(t, in("var/lib/nfs/state"), []byte("state"))
	write(t, in("usr/bin/a"), []byte("one content of three names"))
	write(t, in("etc/large"), []byte(strings.Repeat("a line of a large file\n", 1<<18)))
	write(t, in("etc/empty"), nil)
	sparse, err := os.Create(in("var/sparse"))
	if err == nil {
		_, err = sparse.WriteAt([]byte("in the middle"), 1<<20)
		err = errors.Join(err, sparse.Truncate(3<<20), sparse.Close())
	}
	run := func(what error) { err = errors.Join(err, what) }
	for link, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "etc/mtab": "../proc/mounts", "usr/sbin/init": "../lib/systemd/systemd"} {
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
	run(mknod(in("dev/console"), typeChar|0o600, 5, 1))
	run(mknod(in("dev/sda"), typeBlock|0o660, 8, 0))
	run(mknod(in("run.fifo"), typeFIFO|0o644, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// cpioOf unpacks with GNU cpio what its own -o makes of a tree, or an archive.
func cpioOf(t *testing.T, archive []byte) map[string]unpackedFile {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), tool(t, "cpio"), "-idm", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = out, strings.NewReader(string(archive))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio -i: %v: %s", err, text)
	}
	return seen(t, out)
}

// whole unpacks all segments of an image, one archive after the other, without our reader of cpio.
func whole(t *testing.T, image []byte) [][]byte {
	t.Helper()
	c, err := inspect(image, inspectMaxRaw)
	if err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for _, s := range c.Segments {
		stream, err := openSegment(s.Compression, image[s.Offset:])
		if err != nil {
			t.Fatal(err)
		}
		archive, err := io.ReadAll(io.LimitReader(stream, s.Raw))
		closeStream(stream)
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
	if len(want) < 25 || want["etc/z"].Same == "etc/z" && want["usr/lib/b"].Same == "usr/lib/b" || want["etc/z"].Links != 3 {
		t.Fatalf("the tree is not what it should be: %v", want["etc/z"])
	}
	for _, c := range Compressions() {
		t.Run(c.String(), func(t *testing.T) {
			s := testSpec(t, testTree(t))
			s.Add, s.Owner, s.Compress = []Addition{{root, "/"}}, OwnerKeep, c
			_, image := makeImage(t, s)
			got := make(map[string]unpackedFile)
			for _, archive := range whole(t, image) {
				for name, f := range cpioOf(t, archive) {
					if _, twice := got[name]; !twice || f.Mode&typeMask != typeDir {
						got[name] = f
					}
				}
			}
			for name, f := range want {
				if diff := cmp.Diff(f, got[name]); diff != "" && f.Mode&typeMask != typeDir {
					t.Errorf("/%s (-cpio +nodisk):\n%s", name, diff)
				}
				delete(got, name)
			}
			for name := range got {
				if !slices.ContainsFunc([]string{"init", "etc/nodisk", "usr/lib/modules", "sys", "proc", "sysroot", "run", "dev/null"}, func(own string) bool {
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
	s := testSpec(t, testTree(t))
	s.Add, s.Owner = []Addition{{root, "/"}}, OwnerKeep
	_, image := makeImage(t, s)
	files := inspected(t, image)
	for name, mode := range map[string]uint32{
		"lib": typeLink | 0o777, "bin": typeLink | 0o777, "tmp": typeDir | 0o1777, "root": typeDir | 0o700, "init": typeFile | 0o755,
		"usr/lib/modules/" + testRelease + "/modules.dep": typeFile | 0o644, "dev/console": typeChar | 0o600, "proc": typeDir | 0o555,
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
		write(t, at, []byte(text))
	}
	s := testSpec(t, testTree(t))
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
	modules := "/modules/" + testRelease + "/modules.dep"
	for name, tt := range map[string]struct {
		tree map[string]string
		want string // a file that must be there
		err  string
	}{
		"relative":  {map[string]string{"lib": "-> usr/lib", "usr/lib/x": "x"}, "usr/lib" + modules, ""},
		"absolute":  {map[string]string{"lib": "-> /usr/lib", "usr/lib/x": "x"}, "usr/lib" + modules, ""},
		"chain":     {map[string]string{"lib": "-> one", "one": "-> usr/two", "usr/two": "-> ../opt/lib", "opt/lib/x": "x"}, "opt/lib" + modules, ""},
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
			case files[tt.want].Mode&typeMask != typeFile:
				t.Errorf("no /%s in the image", tt.want)
			}
		})
	}
}

// What boots the node is not replaced unasked; the sentence says what to do.
func TestAddKeepsOwnFiles(t *testing.T) {
	dir := "lib/modules/" + testRelease + "/"
	for name, tt := range map[string]struct {
		tree    map[string]string
		exclude []string
		want    []string
	}{
		"init":        {map[string]string{"init": "sh"}, nil, []string{"/init", "nodisk's own", "--init FILE", "--exclude init"}},
		"init, link":  {map[string]string{"init": "-> sbin/init"}, nil, []string{"/init", "--exclude init"}},
		"config":      {map[string]string{"etc/nodisk/nodisk.conf": "x"}, nil, []string{"/etc/nodisk/nodisk.conf", "--config FILE"}},
		"index":       {map[string]string{dir + "modules.dep": "x"}, nil, []string{dir + "modules.dep", "--modules", "--exclude"}},
		"module":      {map[string]string{dir + "kernel/fs/ext4/ext4.ko": "x"}, nil, []string{"ext4.ko", "--module-dir"}},
		"merged":      {map[string]string{"lib": "-> usr/lib", "usr/" + dir + "modules.dep": "x"}, nil, []string{"usr/" + dir + "modules.dep"}},
		"own modules": {map[string]string{"nodisk/lib/modules/1/modules.dep": "x"}, nil, []string{"--exclude nodisk"}},
		"all left out": {
			map[string]string{"init": "sh", "etc/nodisk/nodisk.conf": "x", dir + "modules.dep": "x"},
			[]string{"/init", "etc/nodisk", dir + "modules.*"}, nil,
		},
		"another kernel's": {map[string]string{"lib/modules/1.2.3/modules.dep": "x"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, files, err := addTo(t, func(s *Spec) { s.Exclude = tt.exclude }, tt.tree)
			if tt.want == nil {
				if err != nil || !strings.HasPrefix(string(files["init"].Data), "\x7fELF") {
					t.Errorf("%v; /init is %.10q", err, files["init"].Data)
				}
				return
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// A root with the package of its kernel keeps all its modules, and /init finds its own.
func TestAddRootWithModules(t *testing.T) {
	dir := "usr/lib/modules/" + testRelease + "/"
	r, files, err := addTo(t, nil, map[string]string{
		"lib": "-> usr/lib", dir + "modules.dep": "all", dir + "kernel/fs/ext4/ext4.ko.xz": "theirs", dir + "modules.dep.bin": "bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{dir + "modules.dep": "all", dir + "kernel/fs/ext4/ext4.ko.xz": "theirs"} {
		if string(files[name].Data) != want {
			t.Errorf("/%s is %q", name, files[name].Data)
		}
	}
	own := OwnDir + "/lib/modules/" + testRelease + "/modules.dep"
	if !strings.Contains(string(files[own].Data), "ext4.ko:") {
		t.Errorf("/%s is %q", own, files[own].Data)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "stays whole") {
		t.Errorf("notes %q", r.Notes)
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
		"root": {0, 0, 0o755 | os.ModeSetuid | os.ModeSetgid}, "user": {1000, 1000, 0o755 | os.ModeSetuid | os.ModeSetgid},
		"group": {0, 42, 0o755 | os.ModeSetuid | os.ModeSetgid}, "plain": {1000, 0, 0o755},
	} {
		at := filepath.Join(root, name)
		write(t, at, []byte(name))
		if err := errors.Join(os.Chown(at, is.uid, is.gid), os.Chmod(at, is.mode)); err != nil {
			t.Fatal(err)
		}
	}
	modes := func(owner Owner) (map[string][3]uint32, Report) {
		s := testSpec(t, testTree(t))
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
	want := map[string][3]uint32{"root": {0o6755, 0, 0}, "user": {0o755, 0, 0}, "group": {0o4755, 0, 0}, "plain": {0o755, 0, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owner root (-want +got):\n%s", diff)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "setuid or setgid bits of 2 files are dropped") || !strings.Contains(text, "o/group, o/user") {
		t.Errorf("warnings %q", text)
	}
	got, r = modes(OwnerKeep)
	want = map[string][3]uint32{"root": {0o6755, 0, 0}, "user": {0o6755, 1000, 1000}, "group": {0o6755, 0, 42}, "plain": {0o755, 1000, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owner keep (-want +got):\n%s", diff)
	}
	if strings.Contains(strings.Join(r.Warnings, "\n"), "setuid") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

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
		"a link":   {func(at string) error { return errors.Join(os.Remove(at), os.Symlink("/etc/passwd", at)) }, "a link took its place"},
		"written":  {func(at string) error { return os.Chtimes(at, time.Unix(1, 0), time.Unix(1, 0)) }, "it changed while"},
		"the same": {func(string) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := filepath.Join(dir, "file")
			write(t, at, make([]byte, 100))
			s := testSpec(t, testTree(t))
			s.Add = []Addition{{dir, "/x"}}
			init := s.Init
			_ = init
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

// What cannot be in an archive is refused by name before anything is read.
func TestAddTooLarge(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "huge")
	write(t, at, nil)
	if err := os.Truncate(at, 5<<30); err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, testTree(t))
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
	const size = 300 << 20
	_, err = f.WriteAt([]byte("in the middle"), 200<<20+123)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Compression{LZ4, Gzip} { // blocks, and a stream
		s := testSpec(t, testTree(t))
		s.Add, s.Compress = []Addition{{dir, "/x"}}, c
		before, after := runtime.MemStats{}, runtime.MemStats{}
		runtime.ReadMemStats(&before)
		_, image := makeImage(t, s)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > size {
			t.Errorf("%v: %d MiB were allocated for %d", c, grown>>20, size>>20)
		}
		var found, length int64
		u := unpacking{keep: func(f File, _ cpioEntry, r *cpioReader) error {
			if f.Name != "x/sparse" {
				return nil
			}
			length = f.Size
			for at := int64(0); at < f.Size; at += 1 << 20 {
				piece, err := r.content(1 << 20)
				if err != nil {
					return err
				}
				if i := strings.Index(string(piece), "in the middle"); i >= 0 {
					found = at + int64(i)
				}
			}
			return nil
		}}
		if err := u.image(image, inspectMaxRaw); err != nil {
			t.Fatal(err)
		}
		if found != 200<<20+123 || length != size {
			t.Errorf("%v: %d bytes, data at %d", c, length, found)
		}
	}
}

// What is added beyond quickFrom is the same on any number of cores.
func TestAddReproducible(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		text := make([]byte, 0, 1<<20)
		for n := i; len(text) < (1<<18)+i*20_000; n++ {
			text = fmt.Appendf(text, "line %d of it\n", n*n*n)
		}
		write(t, filepath.Join(dir, fmt.Sprintf("%d", i)), text)
	}
	write(t, filepath.Join(dir, "large"), []byte(strings.Repeat("0123456789abcdef", (streamWhole+99)/16)))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []Compression{LZ4, Zstd, Gzip} {
		want := ""
		for _, cores := range []int{1, 4, 2} {
			s := testSpec(t, testTree(t))
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

func TestAddUnreadable(t *testing.T) {
	a := adder{self: 1000}
	for i := range 5 {
		a.unreadable.add(fmt.Sprintf("/r/%d", i))
	}
	if got, want := fmt.Sprint(a.refusal()), "add files: 5 cannot be read by user 1000: /r/0, /r/1, /r/2 and 2 more: run nodisk as root, or leave them out with --exclude"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Sockets are left out, the cache of this build too (its outputs are refused there, TestCheckOutputs); what is another file system is not entered.
func TestAddLeavesOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "keep"), []byte("x"))
	write(t, filepath.Join(dir, "cache", "block"), []byte("x"))
	listen(t, filepath.Join(dir, "socket"))
	s := testSpec(t, testTree(t))
	s.Add, s.Cache = []Addition{{dir, "/x"}}, NewCache(filepath.Join(dir, "cache"))
	r, image := makeImage(t, s)
	files := inspected(t, image)
	for _, name := range []string{"x/cache/block", "x/socket"} {
		if _, there := files[name]; there {
			t.Errorf("/%s is in the image", name)
		}
	}
	if _, there := files["x/keep"]; !there {
		t.Error("/x/keep is not in the image")
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"cache, the cache of this build, is left out", "1 file left out: sockets"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}

func TestAddMountPoint(t *testing.T) {
	var a adder
	proc, err := lstat("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.walk(t.Context(), "/proc", "proc", proc, proc.dev+1); err != nil {
		t.Fatal(err)
	}
	if len(a.files) != 1 || a.files[0].name != "proc" || len(a.notes) != 1 || !strings.Contains(a.notes[0], "another file system") {
		t.Errorf("%d files, notes %q", len(a.files), a.notes)
	}
}

func TestAdditionText(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "a:b", nil)
	for text, want := range map[string]Addition{
		"a:/b": {"a", "/b"}, "a:b": {}, "a:c": {"a", "c"}, "a:b:/c": {"a:b", "/c"}, "pci:0000:00:03.0:/x": {"pci:0000:00:03.0", "/x"},
		"/a:/b:/c": {"/a:/b", "/c"}, "a": {"a", filepath.Join(dir, "a")}, "./a:b:/": {"./a:b", "/"}, "a:b:c": {}, "x:": {}, ":/x": {}, "": {},
	} {
		var got Addition
		err := got.UnmarshalText([]byte(text))
		if got != want || (err == nil) != (want != Addition{}) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	var a Addition
	if err := a.UnmarshalText([]byte("a:b")); err == nil || !strings.Contains(err.Error(), "a:b:/a:b") {
		t.Errorf("error %v names no remedy", err)
	}
}

func TestExclude(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"var/cache/apt", "var/cache/apt", true},
		{"/var/cache/apt/", "var/cache/apt", true},
		{"var/cache/*", "var/cache/apt", true},
		{"var/cache/*", "var/cache", false},
		{"var/*", "var/cache/apt", false}, // but var/cache is, and nobody goes there
		{"**/*.pyc", "usr/lib/a.pyc", true},
		{"**/*.pyc", "a.pyc", true},
		{"usr/**/doc", "usr/share/a/doc", true},
		{"usr/**", "usr/bin", true},
		{"*.pyc", "usr/a.pyc", false},
		{"init", "sbin/init", false},
	} {
		list, err := parseExclusions([]string{tt.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := excluded(list, tt.name); got != tt.want {
			t.Errorf("%s, /%s: %v", tt.pattern, tt.name, got)
		}
	}
	for _, bad := range []string{"/", "a[", "a\\"} {
		if _, err := parseExclusions([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	r, files, err := addTo(t, func(s *Spec) { s.Exclude = []string{"var/cache/*", "nothing"} }, map[string]string{
		"var/cache/a/b": "x", "var/cache/c": "x", "var/lib/d": "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"var/cache": true, "var/cache/a": false, "var/cache/a/b": false, "var/cache/c": false, "var/lib/d": true} {
		if _, there := files[name]; there != want {
			t.Errorf("/%s is there: %v", name, there)
		}
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "--exclude nothing: nothing that is added has such a path") {
		t.Errorf("notes %q", r.Notes)
	}
}

// Of several additions the last has a file; the links of one count for all.
func TestAddSeveral(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	write(t, filepath.Join(one, "usr/lib/a"), []byte("first"))
	if err := os.Symlink("usr/lib", filepath.Join(one, "lib")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(two, "a"), []byte("second"))
	write(t, filepath.Join(two, "b"), []byte("b"))
	s := testSpec(t, testTree(t))
	s.Add = []Addition{{one, "/"}, {two, "/lib"}, {filepath.Join(two, "b"), "/etc/"}, {filepath.Join(two, "b"), filepath.Join(two, "b")}}
	r, image := makeImage(t, s)
	files := inspected(t, image)
	for name, want := range map[string]string{"usr/lib/a": "second", "usr/lib/b": "b", "etc/b": "b"} {
		if string(files[name].Data) != want {
			t.Errorf("/%s is %q, want %q", name, files[name].Data, want)
		}
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "goes in as "+filepath.Join(two, "b")) {
		t.Errorf("notes %q", r.Notes)
	}
}
