package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An archived file is an entry of an archive that a test makes.
type archived struct {
	Name         string
	Mode         uint32 // st_mode
	UID, GID     uint32
	Ino, NLink   uint32 // entries of one Ino and an NLink above 1 are names of one file
	Major, Minor uint32 // of a device
	Target       string // of a symbolic link
	Data         []byte
}

// newc makes a cpio archive with hard links, as cpio -o does.
func newc(files ...archived) []byte {
	var out bytes.Buffer
	pad := func() { out.Write(make([]byte, -out.Len()&3)) }
	for _, f := range append(files, archived{Name: "TRAILER!!!"}) {
		data := f.Data
		if f.Mode&syscall.S_IFMT == syscall.S_IFLNK {
			data = []byte(f.Target)
		}
		out.WriteString("070701")
		for _, v := range []uint32{
			f.Ino, f.Mode, f.UID, f.GID, max(f.NLink, 1), 0, uint32(len(data)), 0, 0, f.Major, f.Minor,
			uint32(len(f.Name) + 1), 0, //nolint:gosec // small
		} {
			fmt.Fprintf(&out, "%08x", v)
		}
		out.WriteString(f.Name + "\x00")
		pad()
		out.Write(data)
		pad()
	}
	return out.Bytes()
}

func dirEntry(name string) archived {
	return archived{Name: name, Mode: syscall.S_IFDIR | 0o700, NLink: 2}
}

func linkEntry(name, target string) archived {
	return archived{Name: name, Mode: syscall.S_IFLNK | 0o777, Target: target}
}

func fileEntry(name, data string) archived {
	return archived{Name: name, Mode: syscall.S_IFREG | 0o755, Data: []byte(data)}
}

// hardLinks are one file with several names; the last has the content.
func hardLinks(ino uint32, data string, names ...string) []archived {
	var list []archived
	for _, name := range names {
		f := fileEntry(name, "")
		f.Ino, f.NLink = ino, uint32(len(names)) //nolint:gosec // small
		list = append(list, f)
	}
	list[len(list)-1].Data = []byte(data)
	return list
}

// flatten lists a tree: "name": "mode links device content", what is long by its
// hash.
func flatten(t *unpacked) map[string]string {
	list, texts := make(map[string]string), make(map[*inode]string)
	t.walk("", t.root, func(name string, n *inode) {
		if texts[n] == "" {
			content := n.data
			if n.is(typeLink) {
				content = []byte(n.target)
			}
			text := fmt.Sprintf("%q", content[:min(len(content), 200)])
			if len(content) > 200 {
				text = originOf(content).sha256
			}
			texts[n] = fmt.Sprintf("%o %d %d,%d %s", n.mode, n.names, n.major, n.minor, text)
		}
		list[name] = texts[n]
	})
	return list
}

// treeOf is what the kernel makes of an image.
func treeOf(t testing.TB, image []byte) *unpacked {
	t.Helper()
	r, err := ReadSource(context.Background(), bytesSource(image), false)
	if err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return true }
	err = r.Read(context.Background(), nil, all, func(names []string, _ int64, content io.Reader) error {
		data, err := io.ReadAll(content)
		for _, name := range names {
			r.tree.get(name).data = data
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.tree
}

// buildOn adds testSpec's image to a base and returns image and report.
func buildOn(t *testing.T, image []byte, change func(*Spec)) ([]byte, Report) {
	t.Helper()
	s := testSpec(t, testTree(t))
	s.SkipCheck = true
	s.Base.Image = filepath.Join(t.TempDir(), "base.img")
	write(t, s.Base.Image, image)
	if change != nil {
		change(&s)
	}
	r, out := makeImage(t, s)
	return out, r
}

// unchanged fails the test if anything of the base is not as it was, but what
// is named.
func unchanged(t *testing.T, before, after *unpacked, but ...string) {
	t.Helper()
	was, is := flatten(before), flatten(after)
	maps.DeleteFunc(is, func(name, _ string) bool { _, ok := was[name]; return !ok })
	for _, name := range but {
		delete(was, name)
		delete(is, name)
	}
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("of the base (-before +after):\n%s", diff)
	}
}

func content(t *testing.T, tree *unpacked, name string) string {
	t.Helper()
	n := tree.get(name)
	if !n.is(typeFile) {
		t.Fatalf("/%s is not a file", name)
	}
	return string(n.data)
}

// mergedUsr is an initramfs with the traps in it.
func mergedUsr() []archived {
	list := []archived{
		dirEntry("."), linkEntry("lib", "usr/lib"), linkEntry("bin", "/usr/bin"), linkEntry("sbin", "usr/../usr/bin"), linkEntry("run", "var/run"),
		dirEntry("usr"), dirEntry("usr/lib"), dirEntry("usr/bin"), dirEntry("usr/lib/firmware"), dirEntry("tmp"), dirEntry("dev"),
		{Name: "dev/console", Mode: typeChar | 0o600, Major: 5, Minor: 1},
		dirEntry("usr/lib/modules"), dirEntry("usr/lib/modules/" + testRelease),
		fileEntry("usr/lib/modules/"+testRelease+"/modules.dep", "kernel/vendor.ko:\n"),
		fileEntry("usr/lib/modules/"+testRelease+"/modules.dep.bin", "\xb0\x07\xf4\x57"),
		fileEntry("usr/lib/firmware/a.bin", "vendor's"),
	}
	return append(list, hardLinks(77, "busybox", "usr/bin/busybox", "init", "usr/bin/sh")...)
}

func TestBaseMergedUsrAndHardLinks(t *testing.T) {
	vendor := newc(mergedUsr()...)
	extra := filepath.Join(t.TempDir(), "extra")
	write(t, extra, []byte("extra"))
	image, r := buildOn(t, vendor, func(s *Spec) {
		s.Add = []Addition{{Source: extra, Destination: "/lib/firmware/b.bin"},
			{Source: extra, Destination: "/sbin/sh"}, {Source: extra, Destination: "/run/x"}}
	})
	if !bytes.HasPrefix(image, vendor) {
		t.Error("the base's bytes are not what the image begins with")
	}
	before, after := treeOf(t, vendor), treeOf(t, image)
	// busybox has lost two of its names, and nothing else.
	unchanged(t, before, after, "init", "usr/bin/sh", "usr/bin/busybox")
	for name, want := range map[string]string{
		"usr/bin/busybox": "busybox", "init.vendor": "busybox", "usr/bin/sh": "extra",
		"usr/lib/firmware/b.bin": "extra", "var/run/x": "extra",
		"init": string(elfStub(machineAMD64, "init")),
	} {
		if got := content(t, after, name); got != want {
			t.Errorf("/%s is %q, want %q", name, got, want)
		}
	}
	if n := after.get("usr/bin/busybox"); n.names != 1 {
		t.Errorf("busybox has %d names, want 1", n.names)
	}
	if got := after.get("nodisk/lib/modules/" + testRelease + "/modules.dep"); !got.is(typeFile) {
		t.Error("no index below /nodisk")
	}
	// Folders that are there get no record: it would change their mode.
	own, segments, err := ReadImage(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range own {
		if f.Segment > 0 && before.get(f.Name).is(typeDir) {
			t.Errorf("a record for the directory /%s, which the base has", f.Name)
		}
	}
	if len(segments) < 2 {
		t.Errorf("%d segments", len(segments))
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"its /init, the same file as /usr/bin/busybox, is /init.vendor now",
		"/usr/bin/sh of the base is replaced", fmt.Sprint(len(vendor))} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
}

func TestBaseInitKinds(t *testing.T) {
	script := "#!/bin/sh\necho\n"
	for name, tt := range map[string]struct {
		files []archived
		want  string // flatten's text of init.vendor
	}{
		"script":        {[]archived{fileEntry("init", script)}, fmt.Sprintf("%o 1 0,0 %q", typeFile|0o755, script)},
		"link":          {[]archived{linkEntry("init", "usr/lib/systemd/systemd"), fileEntry("usr", "x")}, ""},
		"relative link": {[]archived{dirEntry("sbin"), fileEntry("sbin/init", "i"), linkEntry("init", "sbin/init")}, fmt.Sprintf("%o 1 0,0 %q", typeLink|0o777, "sbin/init")},
		"a later one counts": {
			[]archived{fileEntry("init", "first"), fileEntry("./init", "second")}, fmt.Sprintf("%o 1 0,0 %q", typeFile|0o755, "second"),
		},
		"a file in the place of a link": {
			[]archived{linkEntry("init", "nowhere"), fileEntry("/init", "second")}, fmt.Sprintf("%o 1 0,0 %q", typeFile|0o755, "second"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				if _, err := readBase(t.Context(), bytesSource(newc(tt.files...))); err == nil || !strings.Contains(err.Error(), "/usr as a folder") && !strings.Contains(err.Error(), "boots nowhere") {
					t.Errorf("error %v, want that the link leads nowhere", err)
				}
				return
			}
			image, _ := buildOn(t, newc(tt.files...), nil)
			if got := flatten(treeOf(t, image))[vendorInit]; got != tt.want {
				t.Errorf("/init.vendor is %s, want %s", got, tt.want)
			}
		})
	}
}

// Adding to what was added to before is adding to the vendor's.
func TestBaseTwice(t *testing.T) {
	vendor := packed(t, Zstd, newc(mergedUsr()...))
	once, _ := buildOn(t, vendor, nil)
	twice, r := buildOn(t, once, nil)
	if !bytes.Equal(once, twice) {
		t.Error("nodisk on nodisk on the base differs from nodisk on the base")
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "without the nodisk that had been added") {
		t.Errorf("the notes do not tell:\n%s", notes)
	}
	damaged := bytes.Clone(once)
	damaged = append(append([]byte{}, packed(t, Gzip, newc(fileEntry("x", "y")))...), damaged...)
	if _, err := readBase(t.Context(), bytesSource(damaged)); err == nil || !strings.Contains(err.Error(), "give the vendor's own file") {
		t.Errorf("error %v, want one about the vendor's own file", err)
	}
}

func TestBaseCompressions(t *testing.T) {
	ucode := newc(dirEntry("kernel"), dirEntry("kernel/x86"), dirEntry("kernel/x86/microcode"),
		fileEntry("kernel/x86/microcode/GenuineIntel.bin", "microcode"))
	rest := newc(mergedUsr()...)
	for _, c := range Compressions() {
		for _, prefix := range [][]byte{nil, ucode} {
			vendor := append(bytes.Clone(prefix), packed(t, c, rest)...)
			image, _ := buildOn(t, vendor, func(s *Spec) { s.Compress = c })
			if !bytes.HasPrefix(image, vendor) {
				t.Errorf("%v: the base's bytes have changed", c)
			}
			_, segments, err := ReadImage(bytes.NewReader(image))
			if err != nil {
				t.Errorf("%v: %v", c, err)
				continue
			}
			// After lz4 four zero bytes at least, and ours at a multiple of four.
			at := len(vendor)
			for at < len(image) && image[at] == 0 {
				at++
			}
			if c == LZ4 && at-len(vendor) < 4 || at%4 != 0 {
				t.Errorf("%v: ours begins %d bytes after the base, at %d", c, at-len(vendor), at)
			}
			if prefix != nil && segments[0].Compression != None {
				t.Errorf("%v: the microcode is not first", c)
			}
			unchanged(t, treeOf(t, vendor), treeOf(t, image), "init", "usr/bin/busybox", "usr/bin/sh")
		}
	}
}

func TestBaseDriversOnly(t *testing.T) {
	const order = "/scripts/init-top/udev \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n"
	vendorInitFile := fileEntry("init", "#!/bin/sh\n")
	for name, tt := range map[string]struct {
		files  []archived
		script string
		order  string
	}{
		"dracut": {[]archived{
			linkEntry("lib", "usr/lib"), dirEntry("usr"), dirEntry("usr/lib"), dirEntry("usr/lib/dracut"), dirEntry("usr/lib/dracut/hooks"), vendorInitFile,
		}, "usr/lib/dracut/hooks/pre-udev/00-nodisk.sh", ""},
		"dracut, systemd": {[]archived{
			linkEntry("init", "usr/lib/systemd/systemd"), dirEntry("usr"), dirEntry("usr/lib"), dirEntry("usr/lib/dracut"), dirEntry("usr/lib/dracut/hooks"),
			dirEntry("usr/lib/systemd"), fileEntry("usr/lib/systemd/systemd", "\x7fELF"), dirEntry("usr/lib/systemd/system"),
			fileEntry("usr/lib/systemd/system/dracut-pre-udev.service", ""),
		}, "usr/lib/dracut/hooks/pre-udev/00-nodisk.sh", ""},
		// Nothing in it looks at the hooks.
		"dracut, systemd alone": {[]archived{
			linkEntry("init", "usr/lib/systemd/systemd"), dirEntry("usr"), dirEntry("usr/lib"), dirEntry("usr/lib/dracut"), dirEntry("usr/lib/dracut/hooks"),
			dirEntry("usr/lib/systemd"), fileEntry("usr/lib/systemd/systemd", "\x7fELF"),
		}, "", ""},
		"initramfs-tools": {[]archived{
			dirEntry("scripts"), fileEntry("scripts/functions", ""), dirEntry("scripts/init-top"), fileEntry("scripts/init-top/ORDER", order), vendorInitFile,
		}, "scripts/init-top/nodisk", order},
		"initramfs-tools, no ORDER": {
			[]archived{dirEntry("scripts"), fileEntry("scripts/functions", ""), vendorInitFile}, "scripts/init-top/nodisk", "",
		},
		"other": {[]archived{vendorInitFile}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			vendor := newc(tt.files...)
			image, _ := buildOn(t, vendor, func(s *Spec) { s.Base.DriversOnly = true })
			before, after := treeOf(t, vendor), treeOf(t, image)
			config := content(t, after, configPath)
			if tt.script == "" {
				unchanged(t, before, after, "init")
				if !strings.Contains(config, "nodisk.chain=/init.vendor,drivers\n") || after.get(vendorInit) == nil {
					t.Errorf("/init does not run the vendor's; its config:\n%s", config)
				}
				return
			}
			unchanged(t, before, after, "scripts/init-top/ORDER")
			if !after.get(ownInit).is(typeFile) || after.get(vendorInit) != nil || strings.Contains(config, "chain") {
				t.Error("the vendor's init is not what it was")
			}
			script := filepath.Join(t.TempDir(), "script")
			write(t, script, []byte(content(t, after, tt.script)))
			if out, err := exec.CommandContext(t.Context(), tool(t, "sh"), "-n", script).CombinedOutput(); err != nil ||
				after.get(tt.script).mode&0o111 == 0 {
				t.Errorf("/%s, mode %o: %v %s", tt.script, after.get(tt.script).mode, err, out)
			}
			if strings.HasPrefix(tt.script, "scripts/") {
				got := content(t, after, "scripts/init-top/ORDER")
				if want := "/scripts/init-top/nodisk \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n" +
					tt.order; got != want {
					t.Errorf("ORDER is %q, want %q", got, want)
				}
			}
		})
	}
}

// Secrets lie after the base, and nothing of it changes: no mode of a directory, no link.
func TestBaseSecrets(t *testing.T) {
	files := mergedUsr()
	for i, f := range files {
		if f.Mode&typeMask == typeDir {
			files[i].Mode = typeDir | 0o755
		}
	}
	vendor := newc(files...)
	secret := filepath.Join(t.TempDir(), "key")
	write(t, secret, []byte("secret"))
	image, _ := buildOn(t, vendor, func(s *Spec) {
		s.Secrets = []Secret{{Source: secret, Destination: "usr/lib/firmware/node/key"}}
	})
	after := treeOf(t, image)
	unchanged(t, treeOf(t, vendor), after, "init", "usr/bin/busybox", "usr/bin/sh") // one name less
	if got := content(t, after, "usr/lib/firmware/node/key"); got != "secret" {
		t.Errorf("the secret is %q", got)
	}
	for name, mode := range map[string]uint32{"usr/lib/firmware/node": typeDir | secretDirMode,
		"usr/lib/firmware/node/key": typeFile | secretMode} {
		if n := after.get(name); n == nil || n.mode != mode {
			t.Errorf("/%s: %v, want mode %o", name, n, mode)
		}
	}
	for destination, want := range map[string]string{
		"lib/firmware/key": "/lib/firmware is /usr/lib/firmware in the base",
		"usr/bin/sh":       "other names in the base",
	} {
		s := testSpec(t, testTree(t))
		s.SkipCheck = true
		s.Base.Image = filepath.Join(t.TempDir(), "base.img")
		write(t, s.Base.Image, vendor)
		s.Secrets = []Secret{{Source: secret, Destination: destination}}
		if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", destination, err, want)
		}
	}
}

func TestBaseErrors(t *testing.T) {
	good := newc(mergedUsr()...)
	for name, tt := range map[string]struct {
		image  []byte
		change func(*Spec)
		want   []string
	}{
		"only microcode": {image: newc(fileEntry("kernel/x", "")), want: []string{"no /init", "microcode"}},
		"kernel":         {image: bzImage("6.1.0"), want: []string{"it is a kernel"}},
		"of nodisk": {image: newc(fileEntry("init", ""), dirEntry("etc"), dirEntry("etc/nodisk"),
			fileEntry(configPath, "")), want: []string{"image of nodisk itself"}},
		"name taken": {image: newc(fileEntry("init", ""), fileEntry("init.vendor", "")),
			want: []string{"/init.vendor already"}},
		"circle": {image: newc(fileEntry("init", ""), linkEntry("etc", "etc")),
			want: []string{"round in circles"}},
		"file for a directory": {
			image: newc(fileEntry("init", ""), fileEntry("nodisk", "")), want: []string{"/nodisk as a directory",
				"a file"},
		},
		"directory for a file": {
			image: newc(fileEntry("init", ""), dirEntry("init.vendor")), want: []string{"/init.vendor already"},
		},
		"file of ours for a directory": {image: good, change: func(s *Spec) {
			s.Add = []Addition{{Source: "base_test.go", Destination: "/usr/lib/modules"}}
		}, want: []string{"/usr/lib/modules is a directory there, and a file among"}},
		"cut off": {image: packed(t, Gzip, good)[:200], want: []string{"read base"}},
		"no base": {image: good, change: func(s *Spec) { s.Base = Base{Chain: true} }, want: []string{"--base"}},
		"both": {image: good, change: func(s *Spec) { s.Base.Chain, s.Base.DriversOnly = true, true },
			want: []string{"--chain", "--drivers-only"}},
		"no image": {image: good, change: func(s *Spec) { s.Base.Image += "x" }, want: []string{"read base",
			"no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, testTree(t))
			s.SkipCheck = true
			s.Base.Image = filepath.Join(t.TempDir(), "base.img")
			write(t, s.Base.Image, tt.image)
			if tt.change != nil {
				tt.change(&s)
			}
			_, err := Image(t.Context(), s, nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if _, err := os.Stat(s.Out); err == nil {
				t.Error("an image was written all the same")
			}
		})
	}
}

func TestBaseOfAnotherKernelWarns(t *testing.T) {
	_, r := buildOn(t, newc(fileEntry("init", ""), dirEntry("lib"), dirEntry("lib/modules"),
		dirEntry("lib/modules/5.10.0-1"), fileEntry("lib/modules/5.10.0-1/modules.dep", "")), nil)
	if got := strings.Join(r.Warnings, "\n"); !strings.Contains(got, "5.10.0-1") ||
		!strings.Contains(got, testRelease) {
		t.Errorf("warnings %q", got)
	}
}
