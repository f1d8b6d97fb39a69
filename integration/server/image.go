package server

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

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/modload"
)

// initScript is /init of the server VM, servicesScript the shell functions that
// start its servers. Those that make its network are the caller's.
//
//go:embed init
var initScript string

//go:embed services
var servicesScript string

// An Archive collects the files of an initramfs. Names are paths without the
// leading slash.
type Archive struct {
	files map[string]cpio.Record
}

// NewArchive makes one with the directories and links of a Debian system.
func NewArchive() *Archive {
	a := &Archive{files: map[string]cpio.Record{}}
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

func (a *Archive) dir(name string) {
	for name != "." && name != "" {
		if _, ok := a.files[name]; ok {
			return
		}
		a.files[name] = cpio.Directory(name, 0o755)
		name = path.Dir(name)
	}
}

// Put adds a file, with the directories above it. A later one of the same name
// replaces it.
func (a *Archive) Put(name string, data []byte, mode fs.FileMode) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	// Below /usr whatever the path says, as the links above are.
	if top, _, _ := strings.Cut(name, "/"); top == "bin" || top == "sbin" || top == "lib" || top == "lib64" {
		name = "usr/" + name
	}
	a.dir(path.Dir(name))
	a.files[name] = cpio.StaticRecord(data, cpio.Info{Name: name, Mode: cpio.S_IFREG | uint64(mode.Perm())})
}

// copyIn adds a file of this machine under its own path.
func (a *Archive) copyIn(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a.Put(file, data, 0o755)
	return nil
}

// Tool adds a tool of this machine, as program does, and returns its path.
func (a *Archive) Tool(t tool.Tool) (string, error) {
	path, err := t.Find()
	if err != nil {
		return "", err
	}
	return path, a.Program(path)
}

// Program adds a program of this machine under its own path, and the shared
// libraries that it needs.
func (a *Archive) Program(file string) error {
	libs, err := SharedLibraries(file)
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

// Files is what a server's initramfs is made of, besides its programs.
type Files struct {
	Root string // folder that nfsd exports
	Disk string // image that tgtd copies

	KernelDir string
	Modules   []string // besides those of virtio
	// Softib.ko and its parameters, empty for none
	Softib, Params string
	RDMA           bool // nfsd can do RDMA

	Network  string // text of /network
	Settings string // text of /etc/fabric
}

// AddServer adds what the script init and the script services use.
func (a *Archive) AddServer(f Files) error {
	busybox, err := tool.StaticBusybox()
	if err != nil {
		return err
	}
	cancel, err := findLibrary(cancelLibrary, libraryDirs())
	if err != nil {
		return err
	}
	if err := a.Program(cancel); err != nil {
		return err
	}
	for name, from := range map[string]string{
		"bin/busybox": busybox, "root.ext4": f.Disk,
		"etc/netconfig": "/etc/netconfig",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("add /%s to the server: %w", name, err)
		}
		a.Put(name, data, 0o755)
	}
	if err := a.tree(f.Root, "nfsroot"); err != nil {
		return fmt.Errorf("add /nfsroot to the server: %w", err)
	}
	for name, text := range map[string]string{
		"init":        initScript,
		"services":    servicesScript,
		"network":     f.Network,
		"etc/fabric":  f.Settings,
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
		a.Put(name, []byte(text), 0o755)
	}
	release, err := lab.KernelRelease(f.KernelDir)
	if err != nil {
		return err
	}
	index, err := modload.Open(os.DirFS(f.KernelDir), release)
	if err != nil {
		return fmt.Errorf("read module index: %w", err)
	}
	network, err := a.Modules(index, f.KernelDir, append([]string{"virtio_pci", "virtio_net"}, f.Modules...)...)
	if err != nil {
		return err
	}
	nfs, err := a.Modules(index, f.KernelDir, "nfsd")
	if err != nil {
		return err
	}
	if f.Softib != "" {
		data, err := os.ReadFile(f.Softib)
		if err != nil {
			return fmt.Errorf("read the software HCA: %w", err)
		}
		a.Put("modules/softib.ko", data, 0o644)
		network += "/modules/softib.ko " + f.Params + "\n"
	}
	if f.RDMA {
		rdma, err := a.Modules(index, f.KernelDir, "rpcrdma")
		if err != nil {
			return err
		}
		nfs += rdma
	}
	a.Put("modules/network", []byte(network), 0o644)
	a.Put("modules/nfs", []byte(nfs), 0o644)
	return nil
}

// Modules adds kernel modules with all that they need, and returns the list to
// load them by: one "FILE [PARAM=VALUE ...]" a line.
func (a *Archive) Modules(index *modload.Index, dir string, names ...string) (string, error) {
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
		a.Put(file, data, 0o644)
		list.WriteString(file + "\n")
	}
	return list.String(), nil
}

// tree adds the files of a directory below another name.
func (a *Archive) tree(dir, name string) error {
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
			a.Put(to, data, info.Mode())
			return nil
		}
	})
}

// Write makes the cpio archive, uncompressed: QEMU puts it into the guest's
// memory at once, while an emulated processor needs seconds to unpack it.
func (a *Archive) Write(file string) error {
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
