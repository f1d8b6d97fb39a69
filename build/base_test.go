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
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/initramfs"
)

// flatten lists a tree: "name": "mode links device content", what is long by its
// hash.
func flatten(t *initramfs.Tree) map[string]string {
	list, texts := make(map[string]string), make(map[*initramfs.Inode]string)
	t.Walk("", t.Root, func(name string, n *initramfs.Inode) {
		if texts[n] == "" {
			content := n.Data
			if n.Is(initramfs.TypeLink) {
				content = []byte(n.Target)
			}
			text := fmt.Sprintf("%q", content[:min(len(content), 200)])
			if len(content) > 200 {
				text = originOf(content).sha256
			}
			texts[n] = fmt.Sprintf("%o %d %d,%d %s", n.Mode, n.Names, n.Major, n.Minor, text)
		}
		list[name] = texts[n]
	})
	return list
}

// treeOf is what the kernel makes of an image.
func treeOf(t testing.TB, image []byte) *initramfs.Tree {
	t.Helper()
	r, err := initramfs.ReadSource(context.Background(), initramfs.BytesSource(image), false)
	if err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return true }
	err = r.Read(context.Background(), nil, all, func(names []string, _ int64, content io.Reader) error {
		data, err := io.ReadAll(content)
		for _, name := range names {
			r.Tree.Get(name).Data = data
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Tree
}

// buildOn adds testSpec's image to a base and returns image and report.
func buildOn(t *testing.T, image []byte, change func(*Spec)) ([]byte, Report) {
	t.Helper()
	s := testSpec(t, buildtest.Tree(t))
	s.SkipCheck = true
	s.Base.Image = filepath.Join(t.TempDir(), "base.img")
	buildtest.Write(t, s.Base.Image, image)
	if change != nil {
		change(&s)
	}
	r, out := makeImage(t, s)
	return out, r
}

// unchanged fails the test if anything of the base is not as it was, but what
// is named.
func unchanged(t *testing.T, before, after *initramfs.Tree, but ...string) {
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

func content(t *testing.T, tree *initramfs.Tree, name string) string {
	t.Helper()
	n := tree.Get(name)
	if !n.Is(initramfs.TypeFile) {
		t.Fatalf("/%s is not a file", name)
	}
	return string(n.Data)
}

// mergedUsr is an initramfs with the traps in it.
func mergedUsr() []cpiotest.File {
	list := []cpiotest.File{
		cpiotest.Dir("."), cpiotest.Link("lib", "usr/lib"), cpiotest.Link("bin", "/usr/bin"), cpiotest.Link("sbin", "usr/../usr/bin"),
		cpiotest.Link("run", "var/run"),
		cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"), cpiotest.Dir("usr/bin"), cpiotest.Dir("usr/lib/firmware"), cpiotest.Dir("tmp"),
		cpiotest.Dir("dev"),
		{Name: "dev/console", Mode: initramfs.TypeChar | 0o600, Major: 5, Minor: 1},
		cpiotest.Dir("usr/lib/modules"), cpiotest.Dir("usr/lib/modules/" + buildtest.Release),
		cpiotest.Regular("usr/lib/modules/"+buildtest.Release+"/modules.dep", "kernel/vendor.ko:\n"),
		cpiotest.Regular("usr/lib/modules/"+buildtest.Release+"/modules.dep.bin", "\xb0\x07\xf4\x57"),
		cpiotest.Regular("usr/lib/firmware/a.bin", "vendor's"),
	}
	return append(list, cpiotest.HardLinks(77, "busybox", "usr/bin/busybox", "init", "usr/bin/sh")...)
}

func TestBaseMergedUsrAndHardLinks(t *testing.T) {
	vendor := cpiotest.Archive(mergedUsr()...)
	extra := filepath.Join(t.TempDir(), "extra")
	buildtest.Write(t, extra, []byte("extra"))
	image, r := buildOn(t, vendor, func(s *Spec) {
		s.Add = []Addition{
			{Source: extra, Destination: "/lib/firmware/b.bin"},
			{Source: extra, Destination: "/sbin/sh"},
			{Source: extra, Destination: "/run/x"},
		}
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
		"init": string(buildtest.ELFStub(buildtest.MachineAMD64, "init")),
	} {
		if got := content(t, after, name); got != want {
			t.Errorf("/%s is %q, want %q", name, got, want)
		}
	}
	if n := after.Get("usr/bin/busybox"); n.Names != 1 {
		t.Errorf("busybox has %d names, want 1", n.Names)
	}
	if got := after.Get("nodisk/lib/modules/" + buildtest.Release + "/modules.dep"); !got.Is(initramfs.TypeFile) {
		t.Error("no index below /nodisk")
	}
	// Folders that are there get no record: it would change their mode.
	own, segments, err := ReadImage(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range own {
		if f.Segment > 0 && before.Get(f.Name).Is(initramfs.TypeDir) {
			t.Errorf("a record for the directory /%s, which the base has", f.Name)
		}
	}
	if len(segments) < 2 {
		t.Errorf("%d segments", len(segments))
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{
		"its /init, the same file as /usr/bin/busybox, is /init.vendor now",
		"/usr/bin/sh of the base is replaced", fmt.Sprint(len(vendor)),
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
}

func TestBaseInitKinds(t *testing.T) {
	script := "#!/bin/sh\necho\n"
	for name, tt := range map[string]struct {
		files []cpiotest.File
		want  string // flatten's text of init.vendor
	}{
		"script": {[]cpiotest.File{cpiotest.Regular("init", script)}, fmt.Sprintf("%o 1 0,0 %q", initramfs.TypeFile|0o755, script)},
		"link":   {[]cpiotest.File{cpiotest.Link("init", "usr/lib/systemd/systemd"), cpiotest.Regular("usr", "x")}, ""},
		"relative link": {
			[]cpiotest.File{cpiotest.Dir("sbin"), cpiotest.Regular("sbin/init", "i"), cpiotest.Link("init", "sbin/init")},
			fmt.Sprintf("%o 1 0,0 %q", initramfs.TypeLink|0o777, "sbin/init"),
		},
		"a later one counts": {
			[]cpiotest.File{cpiotest.Regular("init", "first"), cpiotest.Regular("./init", "second")}, fmt.Sprintf("%o 1 0,0 %q",
				initramfs.TypeFile|0o755, "second"),
		},
		"a file in the place of a link": {
			[]cpiotest.File{cpiotest.Link("init", "nowhere"), cpiotest.Regular("/init", "second")}, fmt.Sprintf("%o 1 0,0 %q",
				initramfs.TypeFile|0o755, "second"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				if _, err := readBase(t.Context(), initramfs.BytesSource(cpiotest.Archive(tt.files...))); err == nil ||
					!strings.Contains(err.Error(), "/usr as a directory") && !strings.Contains(err.Error(),
						"boots nowhere") {
					t.Errorf("error %v, want that the link leads nowhere", err)
				}
				return
			}
			image, _ := buildOn(t, cpiotest.Archive(tt.files...), nil)
			if got := flatten(treeOf(t, image))[vendorInit]; got != tt.want {
				t.Errorf("/init.vendor is %s, want %s", got, tt.want)
			}
		})
	}
}

// Adding to what was added to before is adding to the vendor's.
func TestBaseTwice(t *testing.T) {
	vendor := cpiotest.Packed(t, compress.Zstd, cpiotest.Archive(mergedUsr()...))
	once, _ := buildOn(t, vendor, nil)
	twice, r := buildOn(t, once, nil)
	if !bytes.Equal(once, twice) {
		t.Error("nodisk on nodisk on the base differs from nodisk on the base")
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "without the nodisk that had been added") {
		t.Errorf("the notes do not tell:\n%s", notes)
	}
	damaged := bytes.Clone(once)
	damaged = append(append([]byte{}, cpiotest.Packed(t, compress.Gzip, cpiotest.Archive(cpiotest.Regular("x", "y")))...), damaged...)
	if _, err := readBase(t.Context(), initramfs.BytesSource(damaged)); err == nil ||
		!strings.Contains(err.Error(), "give the vendor's own file") {
		t.Errorf("error %v, want one about the vendor's own file", err)
	}
}

func TestBaseCompressions(t *testing.T) {
	ucode := cpiotest.Archive(cpiotest.Dir("kernel"), cpiotest.Dir("kernel/x86"), cpiotest.Dir("kernel/x86/microcode"),
		cpiotest.Regular("kernel/x86/microcode/GenuineIntel.bin", "microcode"))
	rest := cpiotest.Archive(mergedUsr()...)
	for _, c := range compress.Compressions() {
		for _, prefix := range [][]byte{nil, ucode} {
			vendor := append(bytes.Clone(prefix), cpiotest.Packed(t, c, rest)...)
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
			if c == compress.LZ4 && at-len(vendor) < 4 || at%4 != 0 {
				t.Errorf("%v: ours begins %d bytes after the base, at %d", c, at-len(vendor), at)
			}
			if prefix != nil && segments[0].Compression != compress.None {
				t.Errorf("%v: the microcode is not first", c)
			}
			unchanged(t, treeOf(t, vendor), treeOf(t, image), "init", "usr/bin/busybox", "usr/bin/sh")
		}
	}
}

func TestBaseDriversOnly(t *testing.T) {
	const order = "/scripts/init-top/udev \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n"
	vendorInitFile := cpiotest.Regular("init", "#!/bin/sh\n")
	for name, tt := range map[string]struct {
		files  []cpiotest.File
		script string
		order  string
	}{
		"dracut": {[]cpiotest.File{
			cpiotest.Link("lib", "usr/lib"), cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"), cpiotest.Dir("usr/lib/dracut"),
			cpiotest.Dir("usr/lib/dracut/hooks"), vendorInitFile,
		}, "usr/lib/dracut/hooks/pre-udev/00-nodisk.sh", ""},
		"dracut, systemd": {[]cpiotest.File{
			cpiotest.Link("init", "usr/lib/systemd/systemd"), cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"),
			cpiotest.Dir("usr/lib/dracut"), cpiotest.Dir("usr/lib/dracut/hooks"),
			cpiotest.Dir("usr/lib/systemd"), cpiotest.Regular("usr/lib/systemd/systemd", "\x7fELF"),
			cpiotest.Dir("usr/lib/systemd/system"),
			cpiotest.Regular("usr/lib/systemd/system/dracut-pre-udev.service", ""),
		}, "usr/lib/dracut/hooks/pre-udev/00-nodisk.sh", ""},
		// Nothing in it looks at the hooks.
		"dracut, systemd alone": {[]cpiotest.File{
			cpiotest.Link("init", "usr/lib/systemd/systemd"), cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"),
			cpiotest.Dir("usr/lib/dracut"), cpiotest.Dir("usr/lib/dracut/hooks"),
			cpiotest.Dir("usr/lib/systemd"), cpiotest.Regular("usr/lib/systemd/systemd", "\x7fELF"),
		}, "", ""},
		"initramfs-tools": {[]cpiotest.File{
			cpiotest.Dir("scripts"), cpiotest.Regular("scripts/functions", ""), cpiotest.Dir("scripts/init-top"),
			cpiotest.Regular("scripts/init-top/ORDER", order), vendorInitFile,
		}, "scripts/init-top/nodisk", order},
		"initramfs-tools, no ORDER": {
			[]cpiotest.File{cpiotest.Dir("scripts"), cpiotest.Regular("scripts/functions", ""), vendorInitFile},
			"scripts/init-top/nodisk", "",
		},
		"other": {[]cpiotest.File{vendorInitFile}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			vendor := cpiotest.Archive(tt.files...)
			image, _ := buildOn(t, vendor, func(s *Spec) { s.Base.DriversOnly = true })
			before, after := treeOf(t, vendor), treeOf(t, image)
			config := content(t, after, initramfs.ConfigPath)
			if tt.script == "" {
				unchanged(t, before, after, "init")
				if !strings.Contains(config, "nodisk.chain=/init.vendor,drivers\n") || after.Get(vendorInit) == nil {
					t.Errorf("/init does not run the vendor's; its config:\n%s", config)
				}
				return
			}
			unchanged(t, before, after, "scripts/init-top/ORDER")
			if !after.Get(ownInit).Is(initramfs.TypeFile) || after.Get(vendorInit) != nil || strings.Contains(config, "chain") {
				t.Error("the vendor's init is not what it was")
			}
			script := filepath.Join(t.TempDir(), "script")
			buildtest.Write(t, script, []byte(content(t, after, tt.script)))
			if out, err := exec.CommandContext(t.Context(), buildtest.Tool(t, "sh"), "-n", script).CombinedOutput(); err != nil ||
				after.Get(tt.script).Mode&0o111 == 0 {
				t.Errorf("/%s, mode %o: %v %s", tt.script, after.Get(tt.script).Mode, err, out)
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
		if f.Mode&initramfs.TypeMask == initramfs.TypeDir {
			files[i].Mode = initramfs.TypeDir | 0o755
		}
	}
	vendor := cpiotest.Archive(files...)
	secret := filepath.Join(t.TempDir(), "key")
	buildtest.Write(t, secret, []byte("secret"))
	image, _ := buildOn(t, vendor, func(s *Spec) {
		s.Secrets = []Secret{{Source: secret, Destination: "usr/lib/firmware/node/key"}}
	})
	after := treeOf(t, image)
	unchanged(t, treeOf(t, vendor), after, "init", "usr/bin/busybox", "usr/bin/sh") // one name less
	if got := content(t, after, "usr/lib/firmware/node/key"); got != "secret" {
		t.Errorf("the secret is %q", got)
	}
	for name, mode := range map[string]uint32{
		"usr/lib/firmware/node":     initramfs.TypeDir | initramfs.SecretDirMode,
		"usr/lib/firmware/node/key": initramfs.TypeFile | initramfs.SecretMode,
	} {
		if n := after.Get(name); n == nil || n.Mode != mode {
			t.Errorf("/%s: %v, want mode %o", name, n, mode)
		}
	}
	for destination, want := range map[string]string{
		"lib/firmware/key": "/lib/firmware is /usr/lib/firmware in the base",
		"usr/bin/sh":       "other names in the base",
	} {
		s := testSpec(t, buildtest.Tree(t))
		s.SkipCheck = true
		s.Base.Image = filepath.Join(t.TempDir(), "base.img")
		buildtest.Write(t, s.Base.Image, vendor)
		s.Secrets = []Secret{{Source: secret, Destination: destination}}
		if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", destination, err, want)
		}
	}
}

func TestBaseErrors(t *testing.T) {
	good := cpiotest.Archive(mergedUsr()...)
	for name, tt := range map[string]struct {
		image  []byte
		change func(*Spec)
		want   []string
	}{
		"only microcode": {image: cpiotest.Archive(cpiotest.Regular("kernel/x", "")), want: []string{"no /init", "microcode"}},
		"kernel":         {image: buildtest.BzImage("6.1.0"), want: []string{"it is a kernel"}},
		"of nodisk": {image: cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Dir("etc"), cpiotest.Dir("etc/nodisk"),
			cpiotest.Regular(initramfs.ConfigPath, "")), want: []string{"image of nodisk itself"}},
		"name taken": {
			image: cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Regular("init.vendor", "")),
			want:  []string{"/init.vendor already"},
		},
		"circle": {
			image: cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Link("etc", "etc")),
			want:  []string{"round in circles"},
		},
		"file for a directory": {
			image: cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Regular("nodisk", "")), want: []string{
				"/nodisk as a directory",
				"a file",
			},
		},
		"directory for a file": {
			image: cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Dir("init.vendor")), want: []string{"/init.vendor already"},
		},
		"file of ours for a directory": {image: good, change: func(s *Spec) {
			s.Add = []Addition{{Source: "base_test.go", Destination: "/usr/lib/modules"}}
		}, want: []string{"/usr/lib/modules is a directory there, and a file among"}},
		"cut off": {image: cpiotest.Packed(t, compress.Gzip, good)[:200], want: []string{"read base"}},
		"no base": {image: good, change: func(s *Spec) { s.Base = Base{Chain: true} }, want: []string{"--base"}},
		"both": {
			image: good, change: func(s *Spec) { s.Base.Chain, s.Base.DriversOnly = true, true },
			want: []string{"--chain", "--drivers-only"},
		},
		"no image": {image: good, change: func(s *Spec) { s.Base.Image += "x" }, want: []string{
			"read base",
			"no such file",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, buildtest.Tree(t))
			s.SkipCheck = true
			s.Base.Image = filepath.Join(t.TempDir(), "base.img")
			buildtest.Write(t, s.Base.Image, tt.image)
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
	_, r := buildOn(t, cpiotest.Archive(cpiotest.Regular("init", ""), cpiotest.Dir("lib"), cpiotest.Dir("lib/modules"),
		cpiotest.Dir("lib/modules/5.10.0-1"), cpiotest.Regular("lib/modules/5.10.0-1/modules.dep", "")), nil)
	if got := strings.Join(r.Warnings, "\n"); !strings.Contains(got, "5.10.0-1") ||
		!strings.Contains(got, buildtest.Release) {
		t.Errorf("warnings %q", got)
	}
}
