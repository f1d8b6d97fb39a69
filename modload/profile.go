package modload

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Stage is when /init loads a module by name.
type Stage uint8

// The stages in which modules are loaded. Drivers of devices that are there need no
// name: [Loader.Coldplug] finds them.
const (
	StageDrivers    Stage = iota + 1 // with the drivers of the devices
	StageStorage                     // beside the network, before a disk or server is attached
	StageFilesystem                  // beside the network, before the root is mounted
	StageNetwork                     // beside the drivers, before the network opens its first socket
)

// String names the stage.
func (s Stage) String() string {
	switch s {
	case StageDrivers:
		return "drivers"
	case StageStorage:
		return "storage"
	case StageFilesystem:
		return "filesystem"
	case StageNetwork:
		return "network"
	}
	return fmt.Sprintf("Stage(%d)", uint8(s))
}

// A Request is one module to load by name.
type Request struct {
	Name     string // of a module or an alias
	Stage    Stage
	Optional bool   // the purpose may be served without it
	Params   string // defaults, as finit_module takes them; the command line overrides
}

// A Profile is what a purpose needs of the kernel.
type Profile struct {
	Name string
	Doc  string // one line
	// Include and Maybe go into the image with all they depend on, softdeps
	// too: names, aliases, or patterns of paths below lib/modules/RELEASE
	// with a slash, in which "*" stands for any text ("kernel/fs/nls/*"). What Include names must exist as a
	// module or be built in; Maybe is taken when the kernel has it.
	Include []string
	Maybe   []string
	// Load is what /init loads by name, in this order where it has a choice.
	// All of it belongs to the image as well.
	Load []Request
	// Order are the modules that a node loads by name when the kernel's command line
	// asks for the whole profile (nodisk.profile=), hardware or not, in the order
	// of somebody's manual. The kernel need not have all of them; those that it has
	// belong to the image.
	Order []string
	// Key is the argument of the command line without which Load is left alone: a
	// key, or a key, "=" and a field of its value. Empty: there is none.
	Key string
	// With names profiles that this one contains. What they include is Maybe here: a kernel
	// for clouds has no PRO/1000. What they load by name stays required.
	With []string
	// OneOf are drivers of which the kernel must have at least one, as a module or built in, for
	// the profile to serve its purpose. Empty: Include and Load say all there is to say.
	OneOf []string
	// Filesystem is the type for mount(2), empty if the profile is not one.
	Filesystem string
}

// At returns what a profile loads in a stage.
func (p Profile) At(stage Stage) []Request {
	var list []Request
	for _, r := range p.Load {
		if r.Stage == stage {
			list = append(list, r)
		}
	}
	return list
}

// Profiles lists all profiles in the order of their documentation. What is in them is one for
// all callers, who must not change it; the list is the caller's.
func Profiles() []Profile { return slices.Clone(allProfiles()) }

// allProfiles is made once: a plan asks for it a dozen times.
var allProfiles = sync.OnceValue(func() []Profile {
	list := slices.Concat(ethernet(), infiniband())
	for i := range list {
		list[i].Load = append(list[i].Load, sockets()...)
	}
	list = slices.Concat(list, storage(), filesystems())
	for i := range list {
		p := &list[i]
		for _, r := range p.Load {
			if r.Optional {
				p.Maybe = append(p.Maybe, r.Name)
			} else {
				p.Include = append(p.Include, r.Name)
			}
		}
		p.Maybe = append(p.Maybe, p.Order...)
		p.Maybe = append(p.Maybe, p.OneOf...)
		// Who appends to one has a copy.
		p.Load, p.Include, p.Maybe = slices.Clip(p.Load), slices.Clip(p.Include), slices.Clip(p.Maybe)
	}
	return list
})

// LookupProfile finds a profile by name. What it contains by With is joined in.
func LookupProfile(name string) (Profile, bool) {
	return lookupProfile(Profiles(), name)
}

func lookupProfile(list []Profile, name string) (Profile, bool) {
	i := slices.IndexFunc(list, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	p := list[i]
	for _, part := range p.With {
		q, ok := lookupProfile(list[:i], part) // only what stands before: no circles
		if !ok {
			return Profile{}, false
		}
		for _, name := range q.Include {
			if slices.ContainsFunc(q.Load, func(r Request) bool { return r.Name == name }) {
				p.Include = append(p.Include, name)
			} else {
				p.Maybe = append(p.Maybe, name)
			}
		}
		p.Maybe = append(p.Maybe, q.Maybe...)
		p.OneOf = append(p.OneOf, q.OneOf...)
		p.Load = append(slices.Clone(q.Load), p.Load...)
	}
	return p, true
}

// Select returns the modules a profile puts into an image, in load order, and
// as an error all that it must have and this kernel has not. added is what the
// administrator wants besides, by name, alias or pattern; all of it must exist.
// A kernel with none of the profile's OneOf is an error too.
func (x *Index) Select(p Profile, added ...string) ([]Module, error) {
	if err := x.serves(p); err != nil {
		return nil, err
	}
	var names []string
	for _, want := range slices.Concat(p.Include, added) {
		names = append(names, x.expand(want)...)
	}
	for _, want := range p.Maybe {
		for _, name := range x.expand(want) {
			if _, _, ok := x.find(name); ok {
				names = append(names, name)
			}
		}
	}
	return x.Resolve(names...)
}

// Required is the profile without what it merely offers. An adapter's driver that is required has
// with it what its IPoIB needs ([Adapters]), as far as the profile offers that.
func (p Profile) Required() Profile {
	offered := p.Maybe
	p.Maybe = nil
	if len(p.OneOf) == 1 {
		p.Maybe = slices.Clone(p.OneOf)
	}
	for _, a := range Adapters() {
		if !slices.Contains(p.Include, a.Driver) && !slices.Contains(p.Maybe, a.Driver) {
			continue
		}
		for _, name := range a.IPoIB {
			if slices.Contains(offered, name) {
				p.Maybe = append(p.Maybe, name)
			}
		}
	}
	return p
}

// Without returns the profile without those modules of its Maybe of which left reports true, by their normalised names.
func (x *Index) Without(p Profile, left func(module string) bool) Profile {
	var names []string
	for _, want := range p.Maybe {
		names = append(names, x.expand(want)...)
	}
	p.Maybe = slices.DeleteFunc(names, func(name string) bool { return left(normal(name)) })
	return p
}

// Unserved are the drivers of which a profile needs one (OneOf), if the kernel has none of
// them; otherwise there are none.
func (x *Index) Unserved(p Profile) []string {
	have, absent := x.Absent(p.OneOf)
	if have != nil {
		return nil
	}
	return absent
}

// serves reports, as an error, a kernel without a single driver for the purpose of a profile.
func (x *Index) serves(p Profile) error {
	absent := x.Unserved(p)
	if absent == nil {
		return nil
	}
	return fmt.Errorf("select drivers: Linux %s has no driver for %s, neither as a module nor built in: it lacks %s; "+
		"take another kernel, or another profile",
		x.release, p.Doc, Some(absent))
}

// Some lists names, the first few of many.
func Some(names []string) string {
	const some = 5
	text := strings.Join(names[:min(len(names), some)], ", ")
	if more := len(names) - some; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// expand turns a pattern of paths into names; anything else is returned unchanged.
func (x *Index) expand(want string) []string {
	if !strings.Contains(want, "/") {
		return []string{want}
	}
	var names []string
	for i := range x.mods {
		if match(want, normal(x.mods[i].path)) {
			names = append(names, x.mods[i].name)
		}
	}
	if names == nil {
		return []string{want} // to be reported as missing
	}
	return names
}

// sockets are the protocols of the network stage's sockets: packet(7) for DHCP,
// ipv6(7) for router solicitations, DHCPv6 and whatever has such an address. The
// kernel asks for the modules of a protocol by itself ("net-pf-17"), when it has a
// modprobe to ask. Mostly they are built in: Optional.
//
// All other families that are opened on the way to a root come with the kernel's core
// (netlink(7), ip(7), udp(7), tcp(7)) or with a module that a profile loads in
// time (NETLINK_ISCSI: scsi_transport_iscsi).
func sockets() []Request {
	return []Request{
		{Name: "af_packet", Stage: StageNetwork, Optional: true},
		{Name: "ipv6", Stage: StageNetwork, Optional: true},
	}
}

// ethernet are the profiles of network devices and of links made of them.
func ethernet() []Profile {
	return []Profile{
		{
			Name: "virt", Doc: "network of a KVM guest: virtio-net on PCI or MMIO",
			Include: []string{"virtio_pci", "virtio_net"},
			Maybe:   []string{"virtio_mmio"},
		},
		{
			Name: "e1000", Doc: "Intel PRO/1000 alone (e1000, e1000e), which emulators offer too",
			OneOf: []string{"e1000", "e1000e"},
		},
		{
			Name: "eth", Doc: "Ethernet adapters of servers, desktops and clouds",
			With: []string{"virt", "e1000"},
			Maybe: []string{
				"mlxfw", "realtek", // of mlx5_core and r8169
				"hv_vmbus", "pci_hyperv", // the buses of Hyper-V
				"xhci_pci", "ehci_pci", // USB
			},
			OneOf: []string{
				"virtio_net",
				"e100", "igb", "igbvf", "igc", "ixgb", "ixgbe", "ixgbevf", "i40e", "iavf", "ice", "idpf", // Intel
				"tg3", "bnx2", "bnx2x", "bnxt_en", // Broadcom
				"mlx4_en", "mlx5_core", // NVIDIA, Ethernet side
				"r8169", "8139too", "8139cp", "r8152", // Realtek
				"be2net", "cxgb3", "cxgb4", "cxgb4vf", "enic", "fnic", "qede", "qlcnic", "netxen_nic", "sfc",
				"sfc_siena",
				"hinic", "ionic", "nfp", "myri10ge", // servers
				// desktops
				"atlantic", "alx", "atl1c", "atl1e", "atl2", "sky2", "skge", "forcedeth", "jme", "via_velocity",
				"via_rhine", "sis900", "amd_xgbe", "pcnet32",
				"vmxnet3", "hv_netvsc", "xen_netfront", "ena", "gve", "mana", // hypervisors and clouds
				// boards
				"stmmac_pci", "dwmac_intel", "dwmac_generic", "mvneta", "mvpp2", "macb", "fec", "bcmgenet", "lan743x",
				"usbnet", "cdc_ether", "cdc_ncm", "ax88179_178a", "asix", "smsc95xx", "lan78xx", // USB
			},
		},
		{
			Name: "bond", Doc: "bonded links (bond=)", Key: "bond",
			// Without max_bonds=0 the module makes a bond0 nobody asked for
			// (Documentation/networking/bonding.rst).
			Load: []Request{{Name: "bonding", Stage: StageNetwork, Params: "max_bonds=0"}},
		},
		{
			Name: "vlan", Doc: "VLANs (vlan=)", Key: "vlan",
			Load: []Request{{Name: "8021q", Stage: StageNetwork}},
		},
		{
			Name: "bridge", Doc: "bridges (bridge=)", Key: "bridge",
			Load: []Request{{Name: "bridge", Stage: StageNetwork}},
		},
		{
			// Loaded where ACPI does not show the table, and nowhere else: the
			// module makes the secrets in it files that everybody may read.
			Name: "ibft", Doc: "what iSCSI firmware left in low memory (ip=ibft, root=ibft)",
			Include: []string{"iscsi_ibft"},
		},
	}
}

// crc32c is asked for by crypto_alloc_shash("crc32c"), for which the kernel starts
// modprobe crypto-crc32c. There is no modprobe in an initramfs of nodisk, and depmod lists no
// dependency, so the modules with that alias are loaded before anybody asks. Optional,
// because kernels since 6.14 have it as a library.
func crc32c(stage Stage) Request {
	return Request{Name: "crypto-crc32c", Stage: stage, Optional: true}
}

// storage are the profiles of what a root is attached with.
func storage() []Profile {
	return []Profile{
		{
			Name: "iscsi", Doc: "disks by iSCSI over TCP",
			Load: []Request{
				{Name: "iscsi_tcp", Stage: StageStorage},
				{Name: "sd_mod", Stage: StageStorage},
				crc32c(StageStorage),
			},
		},
		{
			Name: "nfs3", Doc: "root by NFS version 3", Filesystem: "nfs",
			Load: []Request{{Name: "nfsv3", Stage: StageStorage}},
		},
		{
			// nfsv4 alone takes longer to load than the rest of a boot: /init
			// loads it when version 4 is asked for, or when 3 is refused.
			Name: "nfs4", Doc: "root by NFS version 4", Filesystem: "nfs4",
			Load:  []Request{{Name: "nfsv4", Stage: StageStorage}},
			Maybe: []string{"nfs_layout_nfsv41_files"},
		},
		{
			Name: "nfs", Doc: "root by NFS, whichever version the server speaks", Filesystem: "nfs",
			With: []string{"nfs3", "nfs4"},
		},
		{
			// For an export with proto=rdma: nothing else needs it.
			Name: "rdma", Doc: "root by NFS over RDMA, besides nfs and the profile of the adapter",
			Load: []Request{{Name: "rpcrdma", Stage: StageStorage}},
		},
	}
}

// filesystems are the profiles of what a root is mounted with.
func filesystems() []Profile {
	one := func(name, doc string, more ...Request) Profile {
		load := append([]Request{{Name: name, Stage: StageFilesystem}}, more...)
		return Profile{Name: name, Doc: doc, Load: load, Filesystem: name}
	}
	maybe := func(name string) Request { return Request{Name: name, Stage: StageFilesystem, Optional: true} }
	return []Profile{
		one("ext4", "ext4, ext3 and ext2 file systems", crc32c(StageFilesystem)),
		one("xfs", "XFS file systems", crc32c(StageFilesystem)),
		one("btrfs", "Btrfs file systems", crc32c(StageFilesystem)),
		one("squashfs", "SquashFS images"),
		one("erofs", "EROFS images"),
		// FAT_DEFAULT_CODEPAGE and FAT_DEFAULT_IOCHARSET are 437 and mostly
		// ascii, iso8859-1 or utf8; vfat asks for nls_NAME when it mounts.
		one("vfat", "FAT file systems", maybe("nls_cp437"), maybe("nls_ascii"), maybe("nls_iso8859_1"),
			maybe("nls_utf8")),
		one("overlay", "a writable layer over a read-only root"),
		{Name: "ram", Doc: "the initramfs stays the root; needs no module", Filesystem: "tmpfs"},
	}
}
