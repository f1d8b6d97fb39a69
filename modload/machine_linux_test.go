package modload

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/integration/oldkernel"
	"github.com/nodisk/nodisk/modload/unpack"
)

// write makes files below a directory that stands for "/".
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMachineLooksAtSysfs(t *testing.T) {
	m := newMachine(LoaderConfig{Root: write(t, map[string]string{
		"sys/module/ext4/initstate":       "live\n",
		"sys/module/e1000/initstate":      "coming\n",
		"sys/module/loop/parameters/x":    "1\n",
		"sys/module/compression":          "zstd\n",
		"sys/devices/system/cpu/modalias": "cpu:type:x86\n",
		"lib/a.ko":                        "123",
	})})
	for name, want := range map[string][2]bool{
		"ext4": {true, true}, "e1000": {false, false}, "loop": {false, true}, "none": {false, false},
	} {
		if got := [2]bool{m.live(name), m.present(name)}; got != want {
			t.Errorf("%s: live, present = %v, want %v", name, got, want)
		}
	}
	if m.cpu() != "cpu:type:x86" || m.format() != "zstd" || m.size("lib/a.ko") != 3 || m.size("none") != 0 ||
		m.release() == "" {
		t.Errorf("cpu %q, compression %q, size %d, release %q", m.cpu(), m.format(), m.size("lib/a.ko"), m.release())
	}
}

func TestInsertErrors(t *testing.T) {
	root := write(t, map[string]string{"a.ko.xz": "not xz", "b.ko.gz": "x", "sys/module/compression": "zstd\n"})
	m := newMachine(LoaderConfig{Root: root})
	if _, err := m.insert(insertion{path: "none.ko", enter: func() {}}); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "open ") {
		t.Errorf("no file: %v", err)
	}
	if _, err := m.insert(insertion{path: "a.ko.xz", enter: func() {}}); err == nil ||
		!strings.Contains(err.Error(), "the kernel unpacks zstd, not xz: build the image with plain modules") {
		t.Errorf("nobody unpacks: %v", err)
	}
	m.decompress = unpack.Module
	if _, err := m.insert(insertion{path: "a.ko.xz", enter: func() {}}); err == nil ||
		!strings.Contains(err.Error(), "unpack a.ko.xz: read xz: ") {
		t.Errorf("not xz: %v", err)
	}
	if _, err := m.insert(insertion{path: "b.ko.gz", enter: func() {}}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

// A kernel that has no MODULE_INIT_COMPRESSED_FILE, whatever sysfs says, gets the module
// unpacked.
func TestInsertWithoutCompressedFlag(t *testing.T) {
	oldkernel.Under(t, []oldkernel.Rule{
		{Call: unix.SYS_FINIT_MODULE, Args: []oldkernel.Arg{{Index: 2, Mask: moduleInitCompressedFile, Any: true}},
			Errno: unix.EINVAL},
		{Call: unix.SYS_FINIT_MODULE}, // loads it
	}, func(t *testing.T) {
		var unpacked []string
		m := newMachine(LoaderConfig{
			Root: write(t, map[string]string{"a.ko.xz": "packed", "sys/module/compression": "xz\n"}),
			Decompress: func(path string, r io.Reader) (io.Reader, error) {
				data, err := io.ReadAll(r)
				unpacked = append(unpacked, path+": "+string(data))
				return bytes.NewReader(data), err
			},
		})
		if _, err := m.insert(insertion{path: "a.ko.xz", enter: func() {}}); err != nil {
			t.Errorf("not loaded: %v", err)
		}
		if diff := cmp.Diff([]string{"a.ko.xz: packed"}, unpacked); diff != "" {
			t.Errorf("unpacked (-want +got):\n%s", diff)
		}
	})
}

func TestUnpackToMemory(t *testing.T) {
	root := write(t, map[string]string{"a.ko.gz": "plain module"})
	m := newMachine(LoaderConfig{Root: root, Decompress: func(path string, r io.Reader) (io.Reader, error) {
		return io.MultiReader(r, strings.NewReader(" of "+path)), nil
	}})
	fd, err := open(filepath.Join(root, "a.ko.gz"), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	f, err := m.unpack(fd, "a.ko.gz", "gzip")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got := make([]byte, 64)
	n, err := f.ReadAt(got, 0)
	if string(got[:n]) != "plain module of a.ko.gz" || !errors.Is(err, io.EOF) {
		t.Errorf("in memory: %q, %v", got[:n], err)
	}
}

func TestExplain(t *testing.T) {
	here, there := releases{tree: "6.1", running: "6.1"}, releases{tree: "6.1", running: "6.12"}
	for name, tt := range map[string]struct {
		err  error
		log  []string
		rel  releases
		want string
	}{
		"another release": {
			unix.ENOEXEC,
			[]string{"m: version magic '6.1 SMP ' should be '6.12 SMP '"},
			there,
			`load module "m": exec format error; the kernel says "m: version magic '6.1 SMP ' should be '6.12 SMP '"; the modules are of 6.1 but the kernel is 6.12: build the image for 6.12`,
		},
		"another build": {
			unix.EINVAL,
			[]string{"m: disagrees about version of symbol module_layout"},
			here,
			`load module "m": invalid argument; the kernel says "m: disagrees about version of symbol module_layout"; ` +
				"the modules are of the same release but another build: build the image again with the " +
				"kernel that boots",
		},
		"unknown symbol": {
			unix.ENOENT,
			[]string{"m: Unknown symbol f (err -2)"},
			here,
			`load module "m": no such file or directory; the kernel says "m: Unknown symbol f (err -2)"; a module it needs is not loaded or of another build: run depmod on the module tree and build the image again`,
		},
		"unknown symbol of another release": {
			unix.ENOENT,
			[]string{"m: Unknown symbol f (err -2)"},
			there,
			`load module "m": no such file or directory; the kernel says "m: Unknown symbol f (err -2)"; the modules are of 6.1 but the kernel is 6.12: build the image for 6.12`,
		},
		"signature": {
			unix.EKEYREJECTED, nil, here,
			`load module "m": key was rejected by service; its signature does not fit: the file was changed after it was signed, or the signature is not the kernel builder's: take the module from the kernel's own package`,
		},
		"lockdown": {
			unix.EPERM,
			[]string{"Lockdown: nodisk-init: unsigned module loading is restricted; see man kernel_lockdown.7"},
			here,
			`load module "m": operation not permitted; the kernel says "Lockdown: nodisk-init: unsigned module loading is restricted; see man kernel_lockdown.7"; ` +
				"this kernel takes only modules signed by a key it knows: use the modules of the kernel's own " +
				"package, or enrol the key (MOK)",
		},
		"blacklist of the kernel": {
			unix.EPERM,
			[]string{"Module m is blacklisted"},
			here,
			`load module "m": operation not permitted; the kernel says "Module m is blacklisted"; take it out of module_blacklist= on the command line`,
		},
		"no hardware": {
			unix.ENODEV, nil, here,
			`load module "m": no such device; the module found no hardware of its kind in this machine`,
		},
		"a driver's own words": {
			unix.EIO,
			[]string{"m 0000:00:03.0: firmware does not answer"},
			here,
			`load module "m": input/output error; the kernel says "m 0000:00:03.0: firmware does not answer"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, explain("m", tt.err, tt.log, tt.rel).Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What depmod wrote for a real kernel is found in the directory of that kernel.
func TestMachineSizes(t *testing.T) {
	root, release := kernelTree(t)
	x, err := Open(os.DirFS(root), release)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(LoaderConfig{Root: root})
	mods, err := x.Resolve("ext4")
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(mods, func(mod Module) bool { return m.size(mod.Path) == 0 }) {
		t.Errorf("a file of %v is empty", mods)
	}
}

func TestDescriptor(t *testing.T) {
	root := write(t, map[string]string{"f": strings.Repeat("abc", 1000)})
	fd, err := open(filepath.Join(root, "f"), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var b bytes.Buffer
	if n, err := io.Copy(&b, descriptor(fd)); n != 3000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := descriptor(-1).Read(make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("a bad descriptor: %v", err)
	}
}

// In an initramfs that somebody else made, our lib lies in a directory of its own.
func TestMachineWithModulesElsewhere(t *testing.T) {
	m := newMachine(LoaderConfig{Modules: "/nodisk", Root: write(t, map[string]string{
		"nodisk/lib/a.ko":           "123",
		"lib/a.ko":                  "the base's",
		"sys/module/a/initstate":    "live\n",
		"nodisk/sys/module/b/state": "live\n",
	})})
	if m.size("lib/a.ko") != 3 || !m.live("a") || m.live("b") {
		t.Errorf("size %d, a is live: %v, b is live: %v", m.size("lib/a.ko"), m.live("a"), m.live("b"))
	}
	if _, err := m.insert(insertion{path: "lib/none.ko", enter: func() {}}); err == nil ||
		!strings.Contains(err.Error(), "/nodisk/lib/none.ko") {
		t.Errorf("no file: %v", err)
	}
}
