package preflight

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/init/rootinit"
	"github.com/nodisk/nodisk/modload"
)

// root checks what the root will need besides what is loaded ahead.
func (c *checker) root() {
	p := c.decided
	c.shell()
	if c.Root != "" {
		if _, err := rootinit.FindInit(c.Root, p.Init); err != nil && !errors.Is(err, fs.ErrPermission) {
			c.fault("%s: %v", c.Root, err)
		}
	}
	switch {
	case p.Chain.Path != "":
		if !c.Image.has(strings.TrimPrefix(p.Chain.Path, "/")) {
			c.fault("nodisk.chain=%s: the image has no such file", p.Chain.Path)
		}
		c.note("the root is left to %s, about which nothing is known here", p.Chain.Path)
	case p.Root.Kind == rootfs.KindRAM:
		c.ramRoot()
	case p.Root.Kind == rootfs.KindNFS:
		c.nfsRoot()
	case p.Root.NeedsRootPath() && p.Root.Kind != rootfs.KindBlock:
		c.rootPath()
	case p.Root.Kind == rootfs.KindBlock:
		c.fileSystem()
	}
}

func (c *checker) has(module string) bool {
	_, err := c.index.Resolve(module)
	return err == nil
}

// shell warns if one is asked for and not there: the boot goes on without it.
func (c *checker) shell() {
	if c.Image.has(strings.TrimPrefix(plan.ShellPath, "/")) {
		return
	}
	breaks, onFail := c.decided.MissedShell()
	for _, missed := range []string{breaks, onFail} {
		if missed != "" {
			c.doubt("%s", missed)
		}
	}
}

// ramRoot looks for the init of the initramfs.
func (c *checker) ramRoot() {
	names := rootinit.InitCandidates(c.decided.Init)
	for _, name := range names {
		if c.Image.has(strings.TrimPrefix(name, "/")) {
			return
		}
	}
	c.fault(
		"the initramfs stays the root, but it has no %s: put the root in by nodisk build --add DIR:/",
		strings.Join(names, ", no "),
	)
}

// nfsRoot looks for a version that is asked for and that the image supports.
func (c *checker) nfsRoot() {
	n := c.decided.Root.NFS
	var lack []string
	for _, v := range n.Versions {
		module, profile := "nfsv4", "nfs4"
		if v == rootfs.NFS3 {
			module, profile = "nfsv3", "nfs3"
		}
		if c.has("nfs") && c.has(module) {
			if c.transport(n) {
				return
			}
			break
		}
		if !slices.Contains(lack, profile) {
			lack = append(lack, profile)
		}
	}
	if lack != nil {
		c.lack("NFS", "the root is by NFS, and the image has no module for it: add --profile %s", nfsProfile(lack))
	}
}

// transport checks what an NFS root asks for besides its version.
func (c *checker) transport(n rootfs.NFS) bool {
	if n.RDMA() && !c.has("rpcrdma") {
		c.lack("NFS over RDMA", "the root is by NFS over RDMA, and the image has no rpcrdma: add --profile rdma")
		return false
	}
	return true
}

// lack is a fault, unless the image has no modules at all: /init takes what it needs to be
// built in then, and nobody can say here that it is not.
func (c *checker) lack(what, format string, args ...any) {
	if c.index.Empty() {
		c.doubt("for the root: the image has no modules: the kernel must have %s built in", what)
		return
	}
	c.fault(format, args...)
}

func nfsProfile(lack []string) string {
	if len(lack) == 1 {
		return lack[0]
	}
	return "nfs"
}

// rootPath tells what DHCP's root path may say with this image.
func (c *checker) rootPath() {
	var can []string
	if c.has("iscsi_tcp") {
		can = append(can, "an iSCSI disk")
	}
	for _, version := range []string{"3", "4"} {
		if c.has("nfsv" + version) {
			can = append(can, "an export by NFS "+version)
		}
	}
	if can == nil {
		c.lack(
			"iSCSI or NFS",
			"the root is what DHCP's root path says, and the image can neither iSCSI nor NFS: add --profile iscsi "+
				"or --profile nfs",
		)
		return
	}
	c.note("the root is what DHCP's root path says; this image can mount %s", strings.Join(can, ", "))
	if c.has("iscsi_tcp") {
		c.fileSystem()
	}
}

// fileSystem looks for the type of the root, which without rootfstype= nobody
// knows before its superblock is read.
func (c *checker) fileSystem() {
	if fstype := c.decided.Root.FSType; fstype != "" {
		for name := range strings.SplitSeq(fstype, ",") {
			if _, ahead := modload.LookupProfile(name); ahead {
				continue // loaded by name, and told there
			}
			if !c.has(fsModule(name)) && !c.has("fs-"+name) {
				c.lack(
					name,
					"rootfstype=%s: the image has no module %s%s",
					fstype,
					fsModule(name),
					c.offer(fsModule(name)),
				)
			}
		}
		return
	}
	var can []string
	for _, p := range modload.Profiles() {
		files := p.At(modload.StageFilesystem)
		if len(files) > 0 && p.Name != "overlay" && c.has(files[0].Name) {
			can = append(can, p.Filesystem)
		}
	}
	switch len(can) {
	case 0:
		c.lack(
			"its file system",
			"the root is a file system on a disk, and the image has a module for none: add a profile such as "+
				"ext4 or xfs",
		)
	case 1:
		c.note("the file system of the root is not known before it is mounted; the image has %s only", can[0])
	default:
		c.doubt(
			"the file system of the root is not known before it is mounted, so its module loads only then; the "+
				"image has %s: rootfstype= says it",
			strings.Join(can, ", "),
		)
	}
}

// fsModule is the module of a type that has another name.
func fsModule(fstype string) string {
	if fstype == "ext3" || fstype == "ext2" {
		return "ext4"
	}
	return fstype
}
