package integration

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/nodisk/nodisk/modload"
)

// serverInit is /init of the server VM, serverServices the shell functions that
// start its servers. Those that make its network are the caller's.
//
//go:embed server/init
var serverInit string

//go:embed server/services
var serverServices string

// An archive collects the files of an initramfs. Names are paths without the
// leading slash.
type archive struct {
	files map[string]cpio.Record
}

// newArchive makes one with the directories and links of a Debian system.
func newArchive() *archive {
	a := &archive{files: map[string]cpio.Record{}}
	// Debian's merged /usr: programs and their interpreters are named by both
	// paths.
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		a.files[dir] = cpio.StaticRecord([]byte("usr/"+dir), cpio.Info{Name: dir, Mode: cpio.S_IFLNK | 0o777})
	}
	for _, dir := range []string{
		"dev", "proc", "sys", "run", "tmp", "etc", "root", "srv", "var/lib/nfs", "var/log",
		"var/cache", "usr/lib64",
	} {
		a.dir(dir)
	}
	a.files["var/run"] = cpio.StaticRecord([]byte("../run"), cpio.Info{Name: "var/run", Mode: cpio.S_IFLNK | 0o777})
	return a
}

func (a *archive) dir(name string) {
	for name != "." && name != "" {
		if _, ok := a.files[name]; ok {
			return
		}
		a.files[name] = cpio.Directory(name, 0o755)
		name = path.Dir(name)
	}
}

// put adds a file, with the directories above it. A later one of the same name
// replaces it.
func (a *archive) put(name string, data []byte, mode fs.FileMode) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	// Below /usr whatever the path says, as the links above are.
	if top, _, _ := strings.Cut(name, "/"); top == "bin" || top == "sbin" || top == "lib" || top == "lib64" {
		name = "usr/" + name
	}
	a.dir(path.Dir(name))
	a.files[name] = cpio.StaticRecord(data, cpio.Info{Name: name, Mode: cpio.S_IFREG | uint64(mode.Perm())})
}

// copyIn adds a file of this machine under its own path.
func (a *archive) copyIn(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a.put(file, data, 0o755)
	return nil
}

// tool adds a tool of this machine, as program does, and returns its path.
func (a *archive) tool(t tool) (string, error) {
	path, err := t.find()
	if err != nil {
		return "", err
	}
	return path, a.program(path)
}

// program adds a program of this machine under its own path, and the shared
// libraries that it needs.
func (a *archive) program(file string) error {
	libs, err := sharedLibraries(file)
	if err != nil {
		return err
	}
	for _, f := range append(libs, file) {
		if err := a.copyIn(f); err != nil {
			return fmt.Errorf("add %s: %w", file, err)
		}
	}
	return nil
}

// serverFiles is what a server's initramfs is made of, besides its programs.
type serverFiles struct {
	root string // folder that nfsd exports
	disk string // image that tgtd copies

	kernelDir string
	modules   []string // besides those of virtio
	// softib.ko and its parameters, empty for none
	softib, params string
	rdma           bool // nfsd can do RDMA

	network  string // text of /network
	settings string // text of /etc/fabric
}

// serverFiles adds what server/init and server/services use.
func (a *archive) serverFiles(f serverFiles) error {
	busybox, err := staticBusybox()
	if err != nil {
		return err
	}
	cancel, err := findLibrary(cancelLibrary, libraryDirs())
	if err != nil {
		return err
	}
	if err := a.program(cancel); err != nil {
		return err
	}
	for name, from := range map[string]string{
		"bin/busybox": busybox, "root.ext4": f.disk,
		"etc/netconfig": "/etc/netconfig",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("add /%s to the server: %w", name, err)
		}
		a.put(name, data, 0o755)
	}
	if err := a.tree(f.root, "nfsroot"); err != nil {
		return fmt.Errorf("add /nfsroot to the server: %w", err)
	}
	for name, text := range map[string]string{
		"init":        serverInit,
		"services":    serverServices,
		"network":     f.network,
		"etc/fabric":  f.settings,
		"etc/exports": "/nfsroot *(rw,no_root_squash,insecure,no_subtree_check,fsid=1)\n",
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n_rpc:x:102:65534::/run/rpcbind:/bin/false\n" +
			"nobody:x:65534:65534::/:/bin/false\n",
		"etc/group":     "root:x:0:\nnogroup:x:65534:\n",
		"etc/protocols": "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n",
		"etc/services":  "sunrpc 111/tcp portmapper\nsunrpc 111/udp portmapper\nnfs 2049/tcp\nnfs 2049/udp\n",
		"etc/rpc":       "portmapper 100000\nnfs 100003\nmountd 100005\n",
		"etc/hosts":     "127.0.0.1 localhost\n",
		// Without it glibc asks NIS, which there is not, and no files.
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n" +
			"rpc: files\n",
	} {
		a.put(name, []byte(text), 0o755)
	}
	release, err := kernelRelease(f.kernelDir)
	if err != nil {
		return err
	}
	index, err := modload.Open(os.DirFS(f.kernelDir), release)
	if err != nil {
		return fmt.Errorf("read module index: %w", err)
	}
	network, err := a.modules(index, f.kernelDir, append([]string{"virtio_pci", "virtio_net"}, f.modules...)...)
	if err != nil {
		return err
	}
	nfs, err := a.modules(index, f.kernelDir, "nfsd")
	if err != nil {
		return err
	}
	if f.softib != "" {
		data, err := os.ReadFile(f.softib)
		if err != nil {
			return fmt.Errorf("read the software HCA: %w", err)
		}
		a.put("modules/softib.ko", data, 0o644)
		network += "/modules/softib.ko " + f.params + "\n"
	}
	if f.rdma {
		rdma, err := a.modules(index, f.kernelDir, "rpcrdma")
		if err != nil {
			return err
		}
		nfs += rdma
	}
	a.put("modules/network", []byte(network), 0o644)
	a.put("modules/nfs", []byte(nfs), 0o644)
	return nil
}

// modules adds kernel modules with all that they need, and returns the list to
// load them by: one "FILE [PARAM=VALUE ...]" a line.
func (a *archive) modules(index *modload.Index, dir string, names ...string) (string, error) {
	mods, err := index.Resolve(names...)
	if err != nil {
		return "", fmt.Errorf("find the server's modules: %w", err)
	}
	var list strings.Builder
	for _, m := range mods {
		file := "/modules/" + path.Base(m.Path)
		if _, ok := a.files[file[1:]]; ok {
			continue // in the list before
		}
		data, err := os.ReadFile(filepath.Join(dir, m.Path))
		if err != nil {
			return "", fmt.Errorf("read module: %w", err)
		}
		a.put(file, data, 0o644)
		list.WriteString(file + "\n")
	}
	return list.String(), nil
}

// tree adds the files of a directory below another name.
func (a *archive) tree(dir, name string) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := path.Join(name, p)
		switch info, err := d.Info(); {
		case err != nil:
			return err
		case d.IsDir():
			a.dir(to)
			return nil
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(filepath.Join(dir, p))
			if err != nil {
				return err
			}
			a.files[to] = cpio.StaticRecord([]byte(target), cpio.Info{Name: to, Mode: cpio.S_IFLNK | 0o777})
			return nil
		default:
			data, err := os.ReadFile(filepath.Join(dir, p))
			if err != nil {
				return err
			}
			a.put(to, data, info.Mode())
			return nil
		}
	})
}

// write makes the cpio archive, uncompressed: QEMU puts it into the guest's
// memory at once, while an emulated processor needs seconds to unpack it.
func (a *archive) write(file string) error {
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	var errs []error
	// By name, so that a directory comes before what is in it.
	for i, name := range slices.Sorted(maps.Keys(a.files)) {
		r := a.files[name]
		r.Ino, r.NLink = uint64(i+1), 1
		errs = append(errs, w.WriteRecord(r))
	}
	errs = append(errs, cpio.WriteTrailer(w))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write the server's initramfs: %w", err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the server's initramfs: %w", err)
	}
	return nil
}
