package build

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/modtree"
)

// shell runs a script with its standard input, in mounts of its own if a
// vendor's tool wants files where this machine has none.
func shell(t *testing.T, in []byte, ownMounts bool, script string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	words := slices.Concat([]string{buildtest.Tool(t, "sh"), "-ec", script, "sh"}, args)
	if ownMounts {
		words = append([]string{buildtest.Tool(t, "unshare"), "-rm"}, words...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out.String(), errs.String())
	}
	return out.Bytes()
}

func kernelReleaseDir(t *testing.T) (kernel, release string) {
	t.Helper()
	kernel, err := filepath.Abs(buildtest.KernelDir(t))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := modtree.Find(kernel, "")
	if err != nil {
		t.Fatal(err)
	}
	return kernel, tree.Release
}

// dracutImage is an uncompressed initramfs of dracut with modules of the kernel.
func dracutImage(t *testing.T) []byte {
	t.Helper()
	buildtest.Tool(t, "dracut")
	kernel, release := kernelReleaseDir(t)
	out := filepath.Join(t.TempDir(), "dracut.img")
	shell(t, nil, true,
		`dracut --force --quiet --no-hostonly --kmoddir "$1" --kver "$2" --tmpdir "$3" -m base -o "ifcfg network systemd" --drivers virtio_net --no-compress "$4"`,
		filepath.Join(kernel, initramfs.ModulesDir, release), release, t.TempDir(), out)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// initramfsToolsImage is an initramfs of initramfs-tools, unpacked. mkinitramfs takes modules
// from /lib/modules only, and the kernel's config from /boot.
func initramfsToolsImage(t *testing.T) []byte {
	t.Helper()
	buildtest.Tool(t, "mkinitramfs")
	kernel, release := kernelReleaseDir(t)
	out := filepath.Join(t.TempDir(), "initrd.img")
	shell(t, nil, true,
		`cp -r /etc/initramfs-tools/. "$3"; echo MODULES=list >>"$3/initramfs.conf"; echo virtio_net >"$3/modules"
		mount -t overlay overlay -o "lowerdir=$1/lib:/usr/lib" /usr/lib; mount -t tmpfs tmpfs /boot; cp "$1/config" "/boot/config-$2"
		TMPDIR="$5" mkinitramfs -d "$3" -c gzip -l 1 -o "$4" "$2"`, kernel, release, t.TempDir(), out, t.TempDir())
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return shell(t, data, false, "gzip -dc")
}

// handMade is what find . | cpio -o makes of a directory.
func handMade(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	buildtest.Write(t, filepath.Join(dir, "bin/busybox"), bytes.Repeat([]byte("busybox"), 9999))
	return shell(t, nil, false,
		`cd "$1"; chmod 755 bin/busybox; ln bin/busybox bin/sh; ln bin/busybox init; ln -s busybox bin/ash; mkdir etc
		echo root:x:0:0::/: >etc/passwd; find . | cpio -o -H newc --quiet`, dir)
}

// The compressions as dracut and mkinitramfs call them.
func packers() map[string]string {
	return map[string]string{
		"none": "cat", "gzip": "gzip -n -1", "xz": "xz --check=crc32 --lzma2=preset=0,dict=1MiB --block-size=64KiB -T2",
		"xz, no check": "xz -0 --check=none", "zstd": "zstd -q -1 -T2", "lz4": "lz4 -1 -l -c",
	}
}

// Images that others made, in each compression: all that is in them is there
// after, byte for byte, and as cpio unpacks it.
func TestBaseImagesOfOthers(t *testing.T) {
	for _, name := range []string{"gzip", "xz", "zstd", "lz4", "cpio"} {
		buildtest.Tool(t, name)
	}
	ucode := cpiotest.Archive(cpiotest.Dir("kernel"), cpiotest.Dir("kernel/x86"), cpiotest.Dir("kernel/x86/microcode"),
		cpiotest.Regular("kernel/x86/microcode/AuthenticAMD.bin", "microcode"))
	for name, made := range map[string]struct {
		make func(*testing.T) []byte
		how  []string // compressions; nil: all
		hook string   // of DriversOnly
	}{
		"dracut":          {dracutImage, []string{"lz4", "zstd"}, "usr/lib/dracut/hooks/pre-udev/00-nodisk.sh"},
		"initramfs-tools": {initramfsToolsImage, []string{"gzip", "zstd"}, "scripts/init-top/nodisk"},
		"hand-made":       {handMade, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plain := made.make(t)
			before := treeOf(t, plain)
			sameAsCPIO(t, plain, before)
			root := buildtest.Tree(t)
			for method, command := range packers() {
				if made.how != nil && !slices.Contains(made.how, method) {
					continue
				}
				vendor := append(bytes.Clone(ucode), shell(t, plain, false, command)...)
				for _, driversOnly := range []bool{false, true} {
					if made.how != nil && driversOnly != (method == "zstd") {
						continue // large ones: one way each
					}
					s := testSpec(t, root)
					s.SkipCheck = true
					s.Base = Base{Image: filepath.Join(t.TempDir(), "base"), DriversOnly: driversOnly}
					buildtest.Write(t, s.Base.Image, vendor)
					_, image := makeImage(t, s)
					if !bytes.HasPrefix(image, vendor) {
						t.Errorf("%s: the base's bytes have changed", method)
					}
					after := treeOf(t, image)
					unchanged(t, before, after, "init", "bin/busybox", "bin/sh", "scripts/init-top/ORDER")
					hooked := driversOnly && made.hook != ""
					if hooked != after.Get(made.hook).Is(initramfs.TypeFile) && made.hook != "" {
						t.Errorf("%s: hook /%s is there: %v", method, made.hook, !hooked)
					}
					if want := flatten(before)["init"]; hooked && flatten(after)["init"] != want {
						t.Errorf("%s: /init has changed", method)
					}
					if !hooked && !bytes.Equal(after.Get(vendorInit).Data, before.Get("init").Data) {
						t.Errorf("%s: /init.vendor is not what /init was", method)
					}
				}
			}
		})
	}
}

// sameAsCPIO has the real cpio unpack an archive and compares.
func sameAsCPIO(t *testing.T, archive []byte, tree *initramfs.Tree) {
	t.Helper()
	dir := t.TempDir()
	// Devices need rights that a test may not have.
	shell(t, archive, false,
		`cd "$1"; cpio -idm --quiet --no-absolute-filenames -f 'dev/*' 'usr/bin/mount' 'usr/bin/umount'`, dir)
	seen := make(map[string]bool)
	tree.Walk("", tree.Root, func(name string, n *initramfs.Inode) {
		seen[name] = true
		at := filepath.Join(dir, name)
		switch {
		case strings.HasPrefix(name, "dev/"), name == "usr/bin/mount", name == "usr/bin/umount":
		case n.Is(initramfs.TypeLink):
			if target, err := os.Readlink(at); err != nil || target != n.Target {
				t.Errorf("/%s: cpio made a link to %q, %v; we read %q", name, target, err, n.Target)
			}
		case n.Is(initramfs.TypeFile):
			data, err := os.ReadFile(at)
			if info, statErr := os.Lstat(at); err != nil || statErr != nil || !bytes.Equal(data, n.Data) ||
				uint32(info.Mode().Perm()) != n.Mode&0o777 {
				t.Errorf("/%s: cpio made something else than we read, %d bytes, mode %o: %v",
					name, len(n.Data), n.Mode, err)
			}
		}
	})
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(dir, at)
		if err == nil && relErr == nil && name != "." && !seen[name] {
			t.Errorf("/%s: cpio made it, we did not read it", name)
		}
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is refused says how to repack it, and that works.
func TestBaseRepack(t *testing.T) {
	plain := cpiotest.Archive(mergedUsr()...)
	ucode := cpiotest.Archive(cpiotest.Dir("kernel"), cpiotest.Regular("kernel/x", "y"))
	for _, command := range []string{
		"lzop -1c", "xz -0 --format=lzma -c", "bzip2 -1c", "lz4 -1 -c",
		"xz -0 --check=crc64 -c", "xz -0 --check=sha256 -c",
	} {
		for _, prefix := range [][]byte{nil, ucode} {
			dir := t.TempDir()
			buildtest.Tool(t, strings.Fields(command)[0])
			old := append(bytes.Clone(prefix), shell(t, plain, false, command)...)
			buildtest.Write(t, filepath.Join(dir, "OLD"), old)
			_, err := readBase(t.Context(), initramfs.BytesSource(old))
			if err == nil {
				t.Errorf("%s: not refused", command)
				continue
			}
			_, how, ok := strings.Cut(err.Error(), "repack it: ")
			how, _, _ = strings.Cut(how, "; or have it made so")
			if !ok {
				t.Errorf("%s: refused by %q, want that it says how to repack it", command, err)
				continue
			}
			shell(t, nil, false, `cd "$1"; `+how, dir)
			repacked, err := os.ReadFile(filepath.Join(dir, "NEW"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := readBase(t.Context(), initramfs.BytesSource(repacked)); err != nil {
				t.Errorf("%s, repacked by %q: %v", command, how, err)
				continue
			}
			unchanged(t, treeOf(t, plain), treeOf(t, repacked))
		}
	}
}
