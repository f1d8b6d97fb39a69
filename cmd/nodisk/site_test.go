package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/kernel"
)

// A machine is a root with kernels, and the directories that nodisk build is told.
type machine struct{ root, site, state, out, release string }

// newMachine makes one with the kernel of the tests and another of a copied name, which
// has modules only.
func newMachine(t *testing.T, files map[string]string) machine {
	t.Helper()
	vmlinuz := kernelDir(t)
	k, err := kernel.Open(t.Context(), filepath.Join(vmlinuz, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := machine{
		filepath.Join(dir, "root"), filepath.Join(dir, "site"), filepath.Join(dir, "state"),
		filepath.Join(dir, "out"), k.Release,
	}
	linkTree(t, filepath.Join(vmlinuz, "vmlinuz"), filepath.Join(m.root, "boot/vmlinuz-"+k.Release))
	linkTree(t, filepath.Join(vmlinuz, "lib/modules", k.Release), filepath.Join(m.root, "srv", k.Release))
	modules := filepath.Join(m.root, "lib/modules")
	if err := os.MkdirAll(modules, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{k.Release, "6.1.0-without"} {
		if err := os.Symlink("/srv/"+k.Release, filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
	files["build.yaml"] = fmt.Sprintf("init: %s\n", imageInit(t)) + files["build.yaml"]
	for name, text := range files {
		at := filepath.Join(m.site, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(strings.ReplaceAll(text, "OUT", m.out)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(m.out, 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

// linkTree makes a file, or a directory with all in it, of hard links, or copies of them on another file system: a root
// has no links out of it.
func linkTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		place := filepath.Join(to, below)
		switch {
		case d.IsDir():
			return os.MkdirAll(place, 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			return err
		}
		if err := os.Link(at, place); !errors.Is(err, syscall.EXDEV) {
			return err
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		return os.WriteFile(place, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (m machine) build(args ...string) (status int, stdout, stderr string) {
	return nodisk(append([]string{"build", "--sysroot", m.root, "--site", m.site, "--state", m.state}, args...)...)
}

func (m machine) outs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(m.out)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, strings.ReplaceAll(e.Name(), m.release, "R"))
	}
	return names
}

// All images of a site are made after an update of the kernel, and go with it.
func TestSite(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":          "profile: virt\nout: OUT/{image}-{kver}.img\n",
		"images.d/disk.yaml":  "profile: iscsi\nsbom: OUT/disk-{kver}.spdx\n",
		"images.d/small.yaml": "compress: xz\nout: OUT/small-{arch}-{kver}.img\n",
	})
	status, stdout, stderr := m.build("--all")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{
		"disk-" + m.release + ".img (virt, iscsi)\n", "small-amd64-" + m.release + ".img (virt)\n",
		"note: no image for 6.1.0-without: it has modules", "note: flags of " + m.site + "/build.yaml", "2 images",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	all := []string{"disk-R.img", "disk-R.spdx", "small-amd64-R.img"}
	if diff := cmp.Diff(all, m.outs(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if status, stdout, _ = nodisk("inspect", filepath.Join(m.out, "disk-"+m.release+".img")); !strings.Contains(stdout,
		"profiles: virt, iscsi") {
		t.Errorf("status %d: %s", status, stdout)
	}
	// As the hook of a kernel does it: nothing is said.
	if status, stdout, stderr = m.build("--all", "--quiet", "--kver", m.release); status != 0 || stdout+stderr != "" {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	// The kernel is there yet, in the root that it came from: nothing goes. Then it is not.
	clean := []string{"clean", "--state", m.state}
	if status, stdout, stderr = nodisk(clean...); status != 0 || stdout+stderr != "" {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if err := os.Remove(filepath.Join(m.root, "lib/modules", m.release)); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr = nodisk(append(clean, "--dry-run")...); status != 0 ||
		strings.Count(stdout, "would be removed") != 3 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff(all, m.outs(t)); diff != "" {
		t.Errorf("after a dry run (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(m.out, "small-amd64-"+m.release+".img"), []byte("somebody's own"),
		0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = nodisk(clean...)
	if status != 0 || strings.Count(stdout, "removed\n") != 2 ||
		!strings.Contains(stderr, "stays: it was changed since nodisk made it") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff([]string{"small-amd64-R.img"}, m.outs(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An image that cannot be made is a failure that names it, and the others are made.
func TestSiteOneFails(t *testing.T) {
	m := newMachine(t, map[string]string{
		"images.d/bad.yaml":  "profile: virt\nmodule: nosuchmodule\nout: OUT/bad.img\n",
		"images.d/good.yaml": "profile: virt\nout: OUT/good.img\n",
	})
	status, _, stderr := m.build("--all", "--quiet", "--kver", m.release)
	if status != exitFailed || !strings.Contains(stderr, "build "+m.out+"/bad.img: image bad ("+m.site+
		"/images.d/bad.yaml:1): ") || !strings.Contains(stderr, "nosuchmodule") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if diff := cmp.Diff([]string{"good.img"}, m.outs(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file of the site that is not read, for its name, is a warning of every build.
func TestSitePassedOver(t *testing.T) {
	m := newMachine(t, map[string]string{"images.d/gpu.yml": "profile: virt\n"})
	want := "warning: " + filepath.Join(m.site, "images.d/gpu.yml") + ": only *.yaml files are read\n"
	for _, args := range [][]string{
		{"--all", "--quiet"},
		{"--all", "--dry-run"},
		{"--kver", m.release, "--profile", "virt", "--dry-run"},
		{"--kver", m.release, "--profile", "virt", "--dry-run", "--quiet"},
	} {
		status, stdout, stderr := m.build(args...)
		if status != 0 || strings.Count(stdout+stderr, want) != 1 {
			t.Errorf("%v: status %d: %s%s", args, status, stdout, stderr)
		}
	}
	if _, err := orderOf("--site", m.site, "--image", "gpu"); err == nil ||
		!strings.Contains(err.Error(), "gpu.yml: only *.yaml") {
		t.Errorf("--image gpu: %v", err)
	}
}

// An image whose name has no {kver} takes the place of that of another kernel: it is said.
func TestSiteReplaced(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":          "profile: virt\n",
		"images.d/fixed.yaml": "out: OUT/fixed.img\n",
	})
	args := []string{"--all", "--quiet", "--kver", m.release}
	if status, stdout, stderr := m.build(args...); status != 0 || stdout+stderr != "" {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := m.build(args...); status != 0 || stdout+stderr != "" {
		t.Errorf("the same kernel again: status %d: %s%s", status, stdout, stderr)
	}
	if err := os.Rename(filepath.Join(m.state, m.release), filepath.Join(m.state, "6.1.0-before")); err != nil {
		t.Fatal(err)
	}
	want := "fixed.img was the image of Linux 6.1.0-before, and is now that of " + m.release + ": {kver} in its name " +
		"gives each kernel its own\n"
	if status, stdout, stderr := m.build(append(args, "--dry-run")...); status != 0 ||
		!strings.HasSuffix(stderr, want) {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	// By another name of its directory, too: what is remembered is where links lead.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(m.out, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.site, "images.d/fixed.yaml"), []byte("out: "+link+"/fixed.img\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := m.build(args...); status != 0 || !strings.HasSuffix(stderr, want) {
		t.Errorf("by a link: status %d: %s%s", status, stdout, stderr)
	}
}

// A profile that there is not is said with the line that names it.
func TestSiteProfiles(t *testing.T) {
	m := newMachine(t, map[string]string{
		"images.d/a.yaml": "out: a\nprofile: eth nfs\n",
		"images.d/b.yaml": "out: b\nprofile: [eht]\n",
	})
	_, err := orderOf("--site", m.site, "--sysroot", m.root, "--all")
	for _, want := range []string{
		m.site + `/images.d/a.yaml:2: --profile: "eth nfs" is not one profile: write commas between names, eth,nfs`,
		m.site + "/images.d/b.yaml:2: --profile: no profile eht (did you mean eth?); there are virt, ",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}

func TestSiteOrders(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":        "profile: virt\nadd: [extra:/etc/extra]\n",
		"extra":             "x",
		"images.d/a.yaml":   "out: a-{kver}.img\n",
		"images.d/own.yaml": "out: own-{kver}.img\nkernel: KERNEL\nmodules: none\n",
	})
	own := filepath.Join(m.site, "images.d/own.yaml")
	text := fmt.Sprintf("out: own-{kver}.img\nkernel: %s/boot/vmlinuz-%s\nmodules: %s\n", m.root, m.release, m.root)
	if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, site := m.release, m.site
	for name, tt := range map[string]struct {
		args []string
		want []string // out and release of the kernel, or what the error has
	}{
		"kver":      {[]string{"--kver", r}, []string{"nodisk-" + r + ".img " + r}},
		"all kvers": {[]string{"--kver", "all"}, []string{"nodisk-" + r + ".img " + r}},
		"sysroot": {nil, []string{"error: has several (" + r + ", 6.1.0-without): give --kver RELEASE, or --kver " +
			"all for an image of each"}},
		"named":      {[]string{"--kver", r, "-o", "x-{arch}.img"}, []string{"x-amd64.img " + r}},
		"image":      {[]string{"--image", "a", "--kver", r}, []string{site + "/images.d/a-" + r + ".img " + r}},
		"line's out": {[]string{"--image", "a", "--kver", r, "-o", "b.img"}, []string{"b.img " + r}},
		"all": {[]string{"--all"}, []string{
			site + "/images.d/a-" + r + ".img " + r, site + "/images.d/own-" + r + ".img ",
		}},
		// The hook of another kernel leaves an image alone that has its own.
		"all of one": {[]string{"--all", "--kver", r}, []string{site + "/images.d/a-" + r + ".img " + r}},
		"own":        {[]string{"--image", "own", "--kver", r}, []string{"error: it has a kernel of its own"}},
		"no file": {
			[]string{"--kver", "6.1.0-without"},
			[]string{"error: no file such as /boot/vmlinuz-6.1.0-without"},
		},
		"given file": {
			[]string{"--kver", "6.1.0-without", "--kernel", "/dev/null"},
			[]string{"error: read kernel: open /dev/null: it is a device: give a file"},
		},
		"none":    {[]string{"--kver", "6.9"}, []string{"error: there are " + r + ", 6.1.0-without"}},
		"modules": {[]string{"--kver", r, "--modules", "/"}, []string{"error: leave out --modules"}},
		"no image": {
			[]string{"--image", "b"},
			[]string{`error: no image "b" in ` + site + "/images.d: there are a, own"},
		},
		"twice": {[]string{"--kver", r, "--kver", "all", "-o", "x.img"}, []string{"x.img " + r}},
		"placeholder": {
			[]string{"--kver", r, "-o", "{kvr}.img"},
			[]string{"error: there is no placeholder {kvr}: take {arch}, {kver}"},
		},
		"both": {[]string{"--all", "--image", "a"}, []string{"error: can't be used together"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := orderOf(append([]string{"--sysroot", m.root, "--site", m.site}, tt.args...)...)
			var got []string
			for _, one := range o.requests {
				got = append(got, one.spec.Out+" "+one.release)
				if len(one.spec.Add) != 1 || one.spec.Add[0].Source != filepath.Join(site, "extra") {
					t.Errorf("a path of the file is not one of its directory: %v", one.spec.Add)
				}
			}
			if want, isErr := strings.CutPrefix(tt.want[0], "error: "); isErr {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, %v, want %s", got, err, want)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	second := filepath.Join(m.root, "boot/vmlinuz-6.1.0-without") // a file for the other modules
	if err := os.WriteFile(second, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := orderOf("--sysroot", m.root, "--site", m.site, "--kver", "all", "-o", "x.img")
	if want := "x.img would be written for each of 2 kernels: its name needs {kver}"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := orderOf("--site", "nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// A hook runs for a kernel that has come to this machine, with its file: images for others are none of its business,
// and the machine's kernel is installed all the same.
func TestSiteHookOfOthers(t *testing.T) {
	m := newMachine(t, map[string]string{
		"images.d/own.yaml":  "out: own.img\n",
		"images.d/root.yaml": "out: r-{kver}.img\n",
	})
	for name, line := range map[string]string{"own": "kernel: %[1]s/boot/vmlinuz-%[2]s\n", "root": "sysroot: %[1]s\n"} {
		at := filepath.Join(m.site, "images.d", name+".yaml")
		text := append(fileBytes(t, at), fmt.Sprintf("profile: ram\n"+line, m.root, m.release)...)
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hook := []string{
		"--site", m.site, "--all", "--kver", "6.9-new", "--kernel",
		filepath.Join(m.root, "boot/vmlinuz-"+m.release),
	}
	o, err := orderOf(hook...)
	notes := []string{
		"flags of " + m.site + "/build.yaml",
		"image own has a kernel of its own (" + m.site + "/images.d/own.yaml:1): it is not made for others",
		"image root is for the kernels in " + m.root + " (sysroot): there is no 6.9-new",
	}
	if diff := cmp.Diff(notes, o.notes); err != nil || len(o.requests) != 0 || diff != "" {
		t.Errorf("%d requests, %v, notes (-want +got):\n%s", len(o.requests), err, diff)
	}
	// By its name it is made of what the command line says; a kernel that is not there is told.
	if o, err = orderOf("--site", m.site, "--image", "own", "--kver", m.release, "--sysroot", m.root, "--kernel",
		hook[6]); err != nil || len(o.requests) != 1 {
		t.Errorf("--image own: %d requests, %v", len(o.requests), err)
	}
	if _, err = orderOf("--site", m.site, "--image", "root", "--kver", "6.9-new"); err == nil {
		t.Error("--image root: no error")
	}
	if o, err = orderOf("--site", m.site, "--all", "--kver", m.release); err != nil || len(o.requests) != 1 {
		t.Errorf("of the root's own kernel: %d requests, %v", len(o.requests), err)
	}
}

// A dry run writes nothing and says what the image would have.
func TestDryRun(t *testing.T) {
	m := newMachine(t, map[string]string{"build.yaml": "profile: virt\n"})
	args := []string{
		"--kver", m.release, "--out", filepath.Join(m.out, "x"), "--sbom",
		filepath.Join(m.out, "s"), "--compress", "none",
	}
	status, stdout, stderr := m.build(append(args, "--dry-run")...)
	if status != 0 || !strings.Contains(stdout, "/x: not written (dry run), ") ||
		!strings.Contains(stdout, "  virtio_net\n") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if got := m.outs(t); len(got) != 0 {
		t.Errorf("it wrote %v", got)
	}
	// What it says of sizes is what a build says.
	of := func(args ...string) imageJSON {
		t.Helper()
		status, stdout, stderr := m.build(append(args, "--json")...)
		var j imageJSON
		if err := json.Unmarshal([]byte(stdout), &j); status != 0 || err != nil {
			t.Fatalf("status %d: %v\n%s%s", status, err, stdout, stderr)
		}
		return j
	}
	dry, wet := of(append(args, "--dry-run")...), of(args...)
	if wet.Bytes == 0 || wet.SHA256 == "" || !dry.DryRun || dry.Kernel != m.release {
		t.Errorf("dry %+v\nbuilt %+v", dry, wet)
	}
	if diff := dry.Unpacked - wet.Unpacked; diff != 0 {
		t.Errorf("%d bytes unpacked, a build has %d", dry.Unpacked, wet.Unpacked)
	}
	wet.Bytes, wet.SHA256, wet.DryRun, wet.Unpacked = 0, "", true, dry.Unpacked
	if diff := cmp.Diff(wet, dry); diff != "" {
		t.Errorf("(-built +dry):\n%s", diff)
	}
}

// Every profile, with what a kernel has of it.
func TestListProfiles(t *testing.T) {
	m := newMachine(t, map[string]string{})
	status, stdout, stderr := m.build("--list-profiles", "--kver", m.release)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{"of Linux " + m.release, "\nvirt ", " modules, ", "\nram ", "goes without "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	if status, stdout, _ = nodisk("build", "--list-profiles"); status != 0 || !strings.Contains(stdout, "overlay ") {
		t.Errorf("without a kernel: status %d: %s", status, stdout)
	}
}

// Every flag that takes a path is in the table by which relative ones of a file are of its
// directory.
func TestPathFlags(t *testing.T) {
	var b buildCmd
	parser, err := imageParser(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.Flags {
		key := siteSchema(parser)[flag.Name]
		mark := flag.PlaceHolder + " " + flag.Tag.Type
		named := strings.Contains(mark, "FILE") || strings.Contains(mark, "DIR") || strings.Contains(mark, "SRC") ||
			strings.Contains(mark, "exist")
		if named && !key.Path && !key.CommandLine {
			t.Errorf("--%s takes a path: put it into pathFlags", flag.Name)
		}
	}
	for name := range pathFlags() {
		if _, ok := siteSchema(parser)[name]; !ok {
			t.Errorf("pathFlags has %s, which is not a flag", name)
		}
	}
}
