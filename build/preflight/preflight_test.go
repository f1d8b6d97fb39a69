package preflight

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// Listings of nodes.
const (
	virtual    = "file:pc-virtio.txt"
	broadcom   = "01:00.0 0200: 14e4:1657 (rev 01)\n00:17.0 0106: 8086:a352\n"
	connectX3  = "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c\n01:00.0 0280: 15b3:1003\n"
	connectX6  = "01:00.0 0207: 15b3:101b\n"
	omniPath   = "5b:00.0 0208: 8086:24f0 (rev 11)\n"
	trueScale  = "02:00.0 0c06: 1077:7322 (rev 02)\n"
	unheardOf  = "01:00.0 0200: abcd:0001\n"
	noAdapter  = "00:17.0 0106: 8086:a352\n"
	iscsiWords = "ip=dhcp netroot=iscsi:10.0.0.1::::iqn.2025-01.org.example:root root=LABEL=root"
)

func TestCheck(t *testing.T) {
	cases := []struct {
		name      string
		profiles  string // empty: no image
		inventory string
		cmdline   string
		change    func(*build.Spec)
		want      string // beginning of the verdict
	}{
		{"good", "virt,iscsi,ext4", virtual, iscsiWords, nil, "would boot"},
		{"missing-driver", "virt,iscsi,ext4", broadcom, iscsiWords, nil, "would not boot: no network: pci 14e4:1657"},
		{"unheard-of", "virt,iscsi,ext4", unheardOf, iscsiWords, nil, "would not boot: no network: pci abcd:0001 network adapter: no module of Linux"},
		{"missing-firmware", "virt,iscsi,ext4", broadcom, iscsiWords, func(s *build.Spec) { s.ExtraModules = []string{"tg3"} }, "would boot"},
		{"typing-errors", "virt,iscsi,ext4", virtual, iscsiWords + " rd.iscsi.initator=iqn.2025-01.org.example:n1 nodisk.dedline=3m rootfstyp=ext4 bootif=01-52-54-00-12-34-56 virtio_net.naip=0 quiet", nil, "would boot"},
		{"wrong-words", "virt,iscsi,ext4", virtual, "ip=eth0:dhpc root=iscsi:: nodisk.log=dbug", nil, "would not boot: command line: "},
		{"wrong-profile", "virt,iscsi,ext4", virtual, "ip=dhcp root=/dev/nfs nfsroot=10.0.0.1:/srv/root,vers=3", nil, "would not boot: the root is by NFS"},
		{"wrong-filesystem", "virt,iscsi,ext4", virtual, iscsiWords + " rootfstype=xfs", nil, "would not boot: for the root: find module \"xfs\""},
		{"infiniband", "ib,mlx4,iscsi,ext4", connectX3, "ip=ib0:dhcp root=dhcp", nil, "would boot"},
		{"infiniband-without-ipoib", "virt,iscsi,ext4", connectX6, "ip=dhcp root=dhcp", func(s *build.Spec) { s.ExtraModules = []string{"mlx5_core"} }, "would not boot: no network: pci 15b3:101b InfiniBand adapter"},
		{"omni-path", "opa,iscsi,ext4", omniPath, "ip=ib0:dhcp root=dhcp", nil, "would boot"},
		{
			"omni-path-without-ipoib", "virt,iscsi,ext4", omniPath, "ip=dhcp root=dhcp",
			func(s *build.Spec) { s.ExtraModules = []string{"hfi1"} },
			"would not boot: no network: pci 8086:24f0 Omni-Path adapter: hfi1 makes no interface without ib_ipoib: add --profile opa",
		},
		{"mlx5-alone", "mlx5,iscsi,ext4", connectX6, "ip=ib0:dhcp root=dhcp", nil, "would boot"},
		{"true-scale", "ib,iscsi,ext4", trueScale, "ip=ib0:dhcp root=dhcp", nil, "would boot"},
		{"names", "virt,iscsi,ext4", virtual, "ip=eth0.5:dhcp BOOTIF=01-52-54-00-00-00-01 root=dhcp", nil, "would not boot: ip=eth0.5:dhcp: no interface is called eth0.5: no vlan= makes it"},
		{"udev-names", "virt,iscsi,ext4", virtual, "ip=ens3:dhcp bootdev=ens3 root=dhcp", nil, "would boot"},
		{"third-of-one", "virt,iscsi,ext4,bond", virtual, "bond=bond0:eth0,eth1:mode=802.3ad ip=bond0:dhcp root=dhcp", nil, "would boot"},
		{"no-adapter", "virt,iscsi,ext4", noAdapter, iscsiWords, nil, "would not boot: the root is behind the network"},
		{"no-bond", "virt,iscsi,ext4", virtual, iscsiWords + " bond=bond0:eth0 ", nil, "would not boot: for links and sockets: find module \"bonding\""},
		{"blacklist", "virt,iscsi,ext4", virtual, iscsiWords + " modprobe.blacklist=virtio_net", nil, "would not boot: no network: virtio 1 network adapter"},
		{"no-inventory", "virt,nfs", "", "root=dhcp nodisk.modules=no_such_module", nil, "would not boot: by nodisk.modules=: find module"},
		{"no-image", "", virtual, "ip=dhcp root=dhcp nodisk.deadline=3m", nil, "would boot, as far as can be told: no image"},
		{"ram-without-init", "virt,ram", virtual, "root=/dev/ram", nil, "would not boot: the initramfs stays the root"},
		{"local-disk", "virt,ext4", virtual, "root=LABEL=root", nil, "would not boot: no disk: pci 8086:7010 storage controller: no driver in the image; the kernel has ata_piix"},
		{"boot-guid", "virt,iscsi,ext4", virtual, iscsiWords + " BOOTIF=20-00-02-c9-03-00-0a-0b-0c", nil, "would boot"},
		{
			// Modules without index: what they serve they say themselves, and they are
			// to be named in order.
			"flat", "iscsi,ext4", "01:00.0 0200: 8086:1521\n", iscsiWords + " nodisk.modules=dca,i2c-algo-bit,igb",
			func(s *build.Spec) { s.ModuleDirs = []string{flatFolder(t, "igb", "dca", "i2c_algo_bit")} }, "would boot",
		},
		{
			"flat-without-order", "iscsi,ext4", "01:00.0 0200: 8086:1521\n", iscsiWords + " nodisk.modules=igb",
			func(s *build.Spec) { s.ModuleDirs = []string{flatFolder(t, "igb", "dca", "i2c_algo_bit")} },
			"would not boot: by nodisk.modules=: load module \"igb\": it lies in a directory without an index",
		},
		{
			"chosen-drivers", "eth,iscsi,ext4", broadcom, iscsiWords,
			func(s *build.Spec) { s.Inventories = []inventory.List{*inventoryOf(t, broadcom)} }, "would boot",
		},
	}
	tree, err := modtree.Open(kernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	images := make(map[string]*Image)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Line: cmdline.Parse(c.cmdline), Inventory: inventoryOf(t, c.inventory)}
			if !strings.HasPrefix(c.want, "would boot") {
				in.Tree = tree // what could be added
			}
			if c.profiles != "" {
				in.Image = images[c.profiles]
				if in.Image == nil || c.change != nil {
					in.Image = openImage(t, makeImage(t, c.profiles, c.change))
				}
				if c.change == nil {
					images[c.profiles] = in.Image
				}
			}
			report(t, c.name, in, tree.Release, c.want)
		})
	}
}

// report checks the verdict and compares the text with a golden file. What a
// kernel of another series has of modules differs.
func report(t *testing.T, name string, in Input, release, want string) {
	t.Helper()
	r, err := Check(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := r.WriteText(&out, false); err != nil {
		t.Fatal(err)
	}
	if got := r.Verdict(false); !strings.HasPrefix(got, want) || want == "would boot" && got != want {
		t.Errorf("the verdict is %q, want %q", got, want)
	}
	if strings.HasPrefix(want, "would boot") != r.Boots() {
		t.Errorf("Boots is %v", r.Boots())
	}
	const series = "6.1."
	if !strings.HasPrefix(release, series) {
		t.Logf("Linux %s: the golden files are of %s", release, series)
		return
	}
	got := strings.ReplaceAll(out.String(), release, "RELEASE")
	if in.Inventory != nil && in.Inventory.Release != "" { // of another update of Debian's kernel
		got = strings.ReplaceAll(got, in.Inventory.Release, "RELEASE")
	}
	at := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(at, []byte(got), 0o644); err != nil { //nolint:gosec // no secret
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", at, diff)
	}
}

// An image without modules is for a kernel that has built in what it needs, whatever the root.
func TestCheckWithoutModules(t *testing.T) {
	image := openImage(t, makeImage(t, "iscsi,ext4", func(s *build.Spec) { s.Kernel, s.Modules = filepath.Join(kernelDir(t), "vmlinuz"), build.NoModules }))
	for _, line := range []string{
		iscsiWords, "ip=dhcp root=dhcp", "ip=dhcp root=nfs:10.0.0.1:/srv/root", "root=LABEL=root",
		"ip=dhcp root=/dev/nfs nfsroot=10.0.0.1:/srv/root,proto=rdma", iscsiWords + " rootfstype=ext4", iscsiWords + " rootfstype=f2fs",
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(line), Image: image})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Boots() || !strings.Contains(strings.Join(r.Doubts, "\n"), "the image has no modules: the kernel must have") {
			t.Errorf("%s: %s; doubts %q", line, r.Verdict(false), r.Doubts)
		}
	}
}

// A root by NFS over RDMA, in either spelling, needs the profile rdma.
func TestCheckRDMA(t *testing.T) {
	const want = "the root is by NFS over RDMA, and the image has no rpcrdma: add --profile rdma"
	for _, profiles := range []string{"virt,ib,nfs4", "virt,ib,nfs4,rdma"} {
		image := openImage(t, makeImage(t, profiles, nil))
		for _, option := range []string{"proto=rdma", "rdma", "proto=tcp"} {
			line := "ip=ib0:dhcp root=nfs4:10.0.0.1:/srv:" + option
			r, err := Check(t.Context(), Input{Line: cmdline.Parse(line), Image: image})
			if err != nil {
				t.Fatal(err)
			}
			lacks := profiles == "virt,ib,nfs4" && option != "proto=tcp"
			if told := strings.Contains(strings.Join(r.Faults, "\n"), want); told != lacks {
				t.Errorf("%s with %s: faults %q", line, profiles, r.Faults)
			}
		}
	}
}

// A server that is known by its name is looked for in the image.
func TestCheckNames(t *testing.T) {
	const line = "root=nas:/srv ip=10.0.0.5:::24::eth0:none"
	const want = "command line: nothing resolves the root's server nas: write nameserver= or its address, or put it into /etc/hosts of the image"
	config := cpioFile{"etc/nodisk/nodisk.conf", "", typeFile | 0o600}
	for _, tt := range []struct {
		image *Image
		told  bool
	}{
		{nil, true},
		{openImage(t, archive(config)), true},
		{openImage(t, archive(config, cpioFile{"etc/hosts", "10.0.0.1 nas\n", typeFile | 0o644})), false},
		{openImage(t, archive(config, cpioFile{"etc/resolv.conf", "nameserver 10.0.0.1\n", typeFile | 0o644})), false},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(line), Image: tt.image})
		if err != nil {
			t.Fatal(err)
		}
		if told := slices.Contains(r.Doubts, want); told != tt.told {
			t.Errorf("doubts %q", r.Doubts)
		}
	}
}

// --strict makes warnings count, and only warnings.
func TestVerdictStrict(t *testing.T) {
	for want, r := range map[string]Report{
		"would boot": {Notes: []string{"a"}},
		"would not boot without doubt: 2 warnings (--strict)": {Doubts: []string{"a", "b"}},
		"would not boot: a (and 1 further fault)":             {Faults: []string{"a", "b"}, Doubts: []string{"c"}},
	} {
		if got := r.Verdict(true); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A kernel whose modules the image does not have.
func TestCheckOtherKernel(t *testing.T) {
	r, err := Check(t.Context(), Input{
		Line: cmdline.Parse(iscsiWords), Image: openImage(t, makeImage(t, "virt,iscsi,ext4", nil)), Inventory: inventoryOf(t, virtual),
		Kernel: &kernel.Image{Release: "6.12.9-other", Arch: "amd64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Verdict(false); !strings.HasPrefix(got, "would not boot: the image has no modules for this kernel, 6.12.9-other (it has those of ") {
		t.Error(got)
	}
}

// A module with other build flags than the kernel's: what builds on it does not
// load either, and the node has no network.
func TestCheckRefusedModule(t *testing.T) {
	vmlinuz, err := kernel.Open(t.Context(), filepath.Join(kernelDir(t), "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	data := makeImage(t, "virt,iscsi,ext4", nil)
	name, flags := []byte("\x00name=virtio\x00"), []byte("vermagic="+vmlinuz.Release+" SMP ")
	at := bytes.Index(data, name)
	if at < 0 {
		t.Fatal("the module virtio does not say its name")
	}
	at += bytes.Index(data[at:], flags)
	copy(data[at+len(flags)-4:], "UMP")
	image := filepath.Join(t.TempDir(), "changed.img")
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	checks, err := build.Check(t.Context(), build.CheckSpec{Release: vmlinuz.Release, Image: image}) // unpacking the kernel takes long under -race
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check(t.Context(), Input{
		Line: cmdline.Parse(iscsiWords), Image: openImage(t, data), Inventory: inventoryOf(t, virtual), Kernel: &vmlinuz, Checks: checks,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Phases {
		for _, m := range p.Modules {
			if strings.HasPrefix(m.Name, "virtio_pci") && !strings.HasSuffix(m.Name, "_dev") || m.Name == "virtio" {
				t.Errorf("%s would load", m.Name)
			}
		}
	}
	if doubts := strings.Join(r.Doubts, "\n"); r.Boots() || !strings.Contains(doubts, "UMP") {
		t.Errorf("%s; warnings:\n%s", r.Verdict(false), doubts)
	}
}

// A file that modules.dep names is missing.
func TestCheckMissingFile(t *testing.T) {
	image := makeImage(t, "virt,iscsi,ext4", nil)
	names, err := fs.Glob(openImage(t, image).files, modulesDir+"/*/kernel/drivers/scsi/iscsi_tcp.ko")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	i := openImage(t, image, newc([]cpioFile{{names[0], "", typeDir | 0o755}})) // takes its place
	r, err := Check(t.Context(), Input{Line: cmdline.Parse(iscsiWords), Image: i, Inventory: inventoryOf(t, virtual)})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Verdict(false); !strings.Contains(got, "iscsi_tcp.ko is not in the image, though modules.dep names it") {
		t.Error(got)
	}
}

// A softdep that the image lacks and the kernel has.
func TestCheckSoftdep(t *testing.T) {
	tree, err := modtree.Open(kernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	image, name := makeImage(t, "virt,iscsi,ext4", nil), modulesDir+"/"+tree.Release+"/modules.softdep"
	soft, err := fs.ReadFile(openImage(t, image).files, name)
	if err != nil {
		t.Fatal(err)
	}
	i := openImage(t, image, newc([]cpioFile{{name, string(soft) + "softdep ext4 pre: xfs nobody_has_it\n", typeFile | 0o644}}))
	r, err := Check(t.Context(), Input{Line: cmdline.Parse(iscsiWords), Image: i, Inventory: inventoryOf(t, virtual), Tree: tree})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"module ext4 wants xfs beside it, which the image lacks: add --module xfs"}
	if diff := cmp.Diff(want, r.Doubts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An image of somebody else's: nothing is known of what its /init does.
func TestCheckForeign(t *testing.T) {
	foreign := archive(
		cpioFile{"usr/lib", "", typeDir | 0o755},
		cpioFile{"lib", "usr/lib", typeLink | 0o777},
		cpioFile{"init", "#!/bin/sh\nexec /bin/sh\n", typeFile | 0o755},
	)
	report(t, "foreign", Input{
		Line: cmdline.Parse(iscsiWords), Image: openImage(t, foreign), Inventory: inventoryOf(t, virtual),
	}, "6.1.0-56-amd64", "would not boot: the image is not nodisk's")
}

// A second file, such as a node's secret, lies over the first; and links of the
// first lead the way.
func TestReadImageParts(t *testing.T) {
	first := archive(
		cpioFile{"usr/lib/modules", "", typeDir | 0o755},
		cpioFile{"lib", "usr/lib", typeLink | 0o777},
		cpioFile{"usr/lib/modules/6.1/modules.dep", "", typeFile | 0o644},
		cpioFile{"etc/nodisk/nodisk.conf", "nodisk.profile=virt\n", typeFile | 0o600},
		cpioFile{"loop", "loop", typeLink | 0o777},
	)
	second := newc([]cpioFile{
		{"etc/nodisk/nodisk.conf", "nodisk.profile=nfs\n", typeFile | 0o600},
		{"lib/modules/6.1/modules.alias", "alias a b\n", typeFile | 0o644},
	})
	i := openImage(t, first[:len(first)-2], second)
	if i.config != "nodisk.profile=nfs\n" || i.Release() != "6.1" || i.name != "node.img + secret.img" {
		t.Errorf("config %q, release %q, name %q", i.config, i.Release(), i.name)
	}
	for name, want := range map[string]bool{
		"lib/modules/6.1/modules.alias": true, "usr/lib/modules/6.1/modules.alias": true,
		"loop": false, "loop/x": false, "lib/../etc/nodisk/nodisk.conf": false, "etc/nodisk": true,
	} {
		if i.has(name) != want {
			t.Errorf("%s is there: %v, want %v", name, !want, want)
		}
	}
	if _, err := ReadImage(t.Context(), Part{Name: "x.img", Reader: strings.NewReader("rubbish")}); err == nil || !strings.HasPrefix(err.Error(), "x.img: read image") {
		t.Errorf("rubbish: %v", err)
	}
}
