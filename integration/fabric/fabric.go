package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/server"
	"github.com/nodisk/nodisk/integration/tool"
)

// cableMTU is what softib's frames need: an IPoIB packet of 2044 bytes, or a
// MAD, in InfiniBand's headers, and room for a fabric with 4096 byte packets.
const cableMTU = "4200"

// A Spec says what an InfiniBand fabric is like. KernelDir and HCA must
// be set.
type Spec struct {
	KernelDir string // folder with vmlinuz and lib/modules/RELEASE, for the server
	HCA       string // softib.ko for that kernel

	// SubnetManager leaves the ports to a subnet manager: they are not active
	// before the server runs start_opensm. There is no switch in the lab, so
	// that such a fabric has the server and one node at a time. Otherwise every port
	// is active as soon as it has a link.
	SubnetManager bool
	// HCAParams are further parameters of the server's softib: "maxmtu=4096".
	HCAParams []string
	// RDMA gives the server's HCA reliable connections, for nodes with
	// [Boot.RDMA].
	RDMA bool
	// PKeys are the partitions of the server, besides the default one. It has a
	// child interface in each, with addresses in 10.78.N.0/24, 10.79.N.0/24 ...
	PKeys []uint16
	// Relayed is 0, or selects one of PKeys (1, 2, ...): DHCP is ISC dhcpd's there,
	// behind dnsmasq as the relay, and knows the one node that boots in it.
	Relayed int

	// Programs are further programs of this machine for the server, as paths;
	// their libraries come with them. Files are further files of the server:
	// path and text. Start them by [Fabric.Run].
	Programs []string
	Files    map[string]string

	// Log is a file that gets what the server writes. Empty means none.
	Log string
}

// A Fabric is an InfiniBand fabric without InfiniBand hardware: a bridge as its
// cable, with a tap for every port, the software HCA softib in all machines,
// and a virtual machine that serves DHCP, iSCSI and NFS on its ib0. Its methods
// may be called from several goroutines.
type Fabric struct {
	lab    *lab.Lab
	spec   Spec
	n      int // number of the network: 10.77.n.0/24
	accel  string
	server *server.VM

	bridged bool
	taps    []string

	mu      sync.Mutex
	started map[string]bool // services of the server
	last    int             // number of the last port; the server's is 1
	on      int             // nodes that have a port
}

// Missing lists what this machine lacks for a fabric.
func Missing() []error {
	return tool.Missing(
		append(tool.NFSD(), tool.IP(), tool.QEMU(), tool.Busybox(), tool.Dnsmasq(), tool.Tgtd(), tool.Tgtadm(),
			tool.Opensm(), tool.Mke2fs(), tool.Dhcpd())...)
}

// New makes a fabric and starts its server.
func New(ctx context.Context, l *lab.Lab, s Spec) (*Fabric, error) {
	if err := errors.Join(Missing()...); err != nil {
		return nil, err
	}
	f := &Fabric{lab: l, spec: s, started: map[string]bool{}, last: 1}
	var err error
	if f.n, err = l.TakeNumber(); err != nil {
		return nil, fmt.Errorf("make fabric: %w", err)
	}
	if err := f.up(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make fabric: %w", err), f.Close())
	}
	return f, nil
}

func (f *Fabric) up(ctx context.Context) error {
	// Without snooping the bridge sends every frame to all ports; softib's all
	// go to the broadcast address.
	err := f.lab.IP(ctx, "link", "add", f.Bridge(), "type", "bridge", "stp_state", "0", "forward_delay", "0",
		"mcast_snooping", "0")
	if err != nil {
		return err
	}
	f.bridged = true
	if err := f.lab.IP(ctx, "link", "set", f.Bridge(), "mtu", cableMTU, "up"); err != nil {
		return err
	}
	cable, err := f.cable(ctx, 1)
	if err != nil {
		return err
	}
	kernel := filepath.Join(f.spec.KernelDir, "vmlinuz")
	f.accel = f.lab.Acceleration(ctx, kernel)
	image := f.lab.Path(f.Bridge() + ".server")
	if err := f.image(ctx, image); err != nil {
		return err
	}
	// It is in memory twice: the lab's files are in a tmpfs. QEMU has read it by
	// the time the server is up.
	defer func() { _ = os.Remove(image) }()
	began := time.Now()
	m := server.Machine{Accel: f.accel, Kernel: kernel, Image: image, NICs: []lab.NIC{cable}, Memory: 1024}
	if f.server, err = server.Start(ctx, f.lab, m, f.Bridge()+".server", f.spec.Log); err != nil {
		return err
	}
	f.lab.Log().Info("the fabric's server is up", "network", f.n, "took", time.Since(began).Round(100*time.Millisecond))
	return nil
}

// Close switches the server off and takes the fabric away.
func (f *Fabric) Close() error {
	err := f.server.Close()
	links := slices.Clone(f.taps)
	if f.bridged {
		links = append(links, f.Bridge())
	}
	err = errors.Join(err, f.lab.RemoveLinks(f.Bridge(), links))
	f.lab.GiveNumber(f.n)
	return err
}

// Run executes a shell command on the server and returns what it wrote.
func (f *Fabric) Run(ctx context.Context, command string) (string, error) {
	return f.server.Run(ctx, command)
}

// service starts a service of the script services of package server once, and waits for the line
// ready of the server's console unless that is empty.
func (f *Fabric) service(ctx context.Context, name, ready string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.started[name] {
		return nil
	}
	mark := f.server.Mark()
	if _, err := f.server.Run(ctx, "start_"+name); err != nil {
		return err
	}
	if ready != "" {
		if err := f.server.Await(ctx, mark, ready); err != nil {
			return err
		}
	}
	f.started[name] = true
	return nil
}

// cable makes the tap for the port of that number and returns the NIC for it.
func (f *Fabric) cable(ctx context.Context, number int) (lab.NIC, error) {
	tap := "nd" + strconv.Itoa(f.n) + "c" + strconv.Itoa(number)
	if err := f.lab.Tap(ctx, tap, f.Bridge(), "mtu", cableMTU); err != nil {
		return lab.NIC{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taps = append(f.taps, tap)
	return lab.NIC{Tap: tap, MAC: f.mac(number)}, nil
}

// port takes the next port's number.
func (f *Fabric) port() (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == 254 {
		return 0, errors.New("the fabric has had 253 nodes, its addresses are used up")
	}
	if f.spec.SubnetManager && f.on > 0 {
		return 0, errors.New("a fabric with a subnet manager has one node at a time, with one port")
	}
	f.last++
	f.on++
	return f.last, nil
}

// leave takes a port's cable away; its number is not used again.
func (f *Fabric) leave() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on--
	return nil
}

// Bridge is the name of the bridge that is the cable.
func (f *Fabric) Bridge() string { return "nd" + strconv.Itoa(f.n) + "fabric" }

// mac is the address of the cable's NIC, from which softib makes its GUID.
func (f *Fabric) mac(number int) string {
	return fmt.Sprintf("52:54:00:77:%02x:%02x", f.n, number)
}

// guid is the port GUID as 8 bytes with colons.
func (f *Fabric) guid(number int) string {
	return fmt.Sprintf("02:50:49:03:00:77:%02x:%02x", f.n, number)
}

// address is a port's in the default partition (0) or in one of PKeys (1, 2,
// ...).
func (f *Fabric) address(partition, number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(77 + partition), byte(f.n), byte(number)})
}

// softib are the parameters that the HCA of all machines has.
func (f *Fabric) softib() []string {
	if f.spec.SubnetManager {
		return []string{"sa=0"}
	}
	return []string{"sa=1"}
}

// image makes the server's initramfs.
func (f *Fabric) image(ctx context.Context, file string) error {
	tree, err := f.lab.Tree()
	if err != nil {
		return err
	}
	disk, err := f.lab.Disk(ctx, f.Bridge())
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(disk) }()
	a := server.NewArchive()
	tools, modules, relay := append(tool.NFSD(), tool.Dnsmasq(), tool.Tgtd(), tool.Tgtadm(),
		tool.Opensm()), []string{"ib_ipoib", "ib_umad"}, ""
	if f.spec.Relayed > 0 {
		// busybox makes neither veth pairs nor namespaces, and its shell prefers its ip.
		ip, err := tool.IP().Find()
		if err != nil {
			return err
		}
		tools, modules = append(tools, tool.Dhcpd(), tool.IP()), append(modules, "veth")
		relay = fmt.Sprintf("RELAYED=0x%04x\nIP=%s\n", f.spec.PKeys[f.spec.Relayed-1], ip)
	}
	for _, t := range tools {
		if _, err := a.Tool(t); err != nil {
			return err
		}
	}
	for _, p := range f.spec.Programs {
		if err := a.Program(p); err != nil {
			return err
		}
	}
	params := slices.Concat(f.softib(), []string{"netdev=" + f.mac(1)}, f.spec.HCAParams)
	keys := make([]string, len(f.spec.PKeys))
	for i, k := range f.spec.PKeys {
		keys[i] = fmt.Sprintf("0x%04x", k)
	}
	if len(keys) > 0 {
		params = append(params, "pkeys="+strings.Join(keys, ","))
	}
	if f.spec.RDMA {
		params = append(params, "rc=1")
	}
	if err := a.AddServer(server.Files{
		Root: tree, Disk: disk,
		KernelDir: f.spec.KernelDir, Modules: modules,
		Softib: f.spec.HCA, Params: strings.Join(params, " "), RDMA: f.spec.RDMA, Network: networkScript,
		Settings: fmt.Sprintf("NET=%d\nPKEYS='%s'\n%s", f.n, strings.Join(keys, " "), relay),
	}); err != nil {
		return err
	}
	for name, text := range f.spec.Files {
		a.Put(name, []byte(text), 0o755)
	}
	return a.Write(file)
}
