package rootfs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/internal/uevent"
)

// An NFSMount says how an export is mounted.
type NFSMount struct {
	Dir      string // exists
	ReadOnly bool   // ro; an ro or rw in the export's options wins
	Modules  Modules
}

// MountNFS mounts an export whose server and path are complete (see NFS.For) by the first of its
// versions that works, from the first of the server's addresses that it works with: of several
// addresses one may be down, or not serve this node. A version whose module the image does not
// have is skipped, and a module is loaded only when its version is tried. When none works, the
// error has a line for each.
func MountNFS(ctx context.Context, n NFS, m NFSMount, log *slog.Logger) (Mounted, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	switch {
	case n.Server == "" || n.Path == "" || len(n.Versions) == 0:
		return Mounted{}, fmt.Errorf("mount NFS %q: server, path or version is missing", n.Source())
	case strings.Contains(n.Path, "%s"):
		return Mounted{}, fmt.Errorf("mount NFS %q: %%s in the path has not been replaced", n.Source())
	}
	options, err := ParseMountOptions(n.Options, m.ReadOnly)
	if err != nil {
		return Mounted{}, fmt.Errorf("mount %s: %w", n.Source(), err)
	}
	n.Options = options.Data
	if why := (&nfsClient{n: n, m: m}).lacking(); len(why) > 0 {
		return Mounted{}, fmt.Errorf("mount %s:%w", n.Source(), why)
	}
	if n.RDMA() {
		if err := awaitRDMA(ctx, kernfile.DirFS("/sys"), uevent.Wait, log); err != nil {
			return Mounted{}, fmt.Errorf("mount %s: %w", n.Source(), err)
		}
	}
	servers, err := resolve(ctx, n.Server)
	if err != nil {
		return Mounted{}, fmt.Errorf("mount %s: %w", n.Source(), err)
	}
	return mountFrom(ctx, servers, func(ctx context.Context, server netip.Addr) (Mounted, refusals) {
		c := nfsClient{n: n, m: m, flags: options, server: server, log: log}
		return c.mount(ctx)
	}, n.Source())
}

// mountFrom tries the addresses of a server in turn. Each has its share of the
// time that is left, so that one that takes connections and answers nothing does
// not use up that of the others.
func mountFrom(ctx context.Context, servers []netip.Addr,
	try func(context.Context, netip.Addr) (Mounted, refusals), source string,
) (Mounted, error) {
	var refused refusals
	for i, server := range servers {
		one, cancel := shareOf(ctx, len(servers)-i)
		mounted, why := try(one, server)
		cancel()
		if why == nil {
			return mounted, nil
		}
		if len(servers) > 1 {
			for j := range why {
				why[j].server = server
			}
		}
		refused = append(refused, why...)
		if ctx.Err() != nil {
			break
		}
	}
	return Mounted{}, fmt.Errorf("mount %s:%w", source, refused)
}

// shareOf bounds ctx to the n-th part of the time it has left.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || n < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// mount tries the versions in turn. Without refusals it is mounted.
func (c *nfsClient) mount(ctx context.Context) (Mounted, refusals) {
	var refused refusals
	for _, v := range c.n.Versions {
		if slices.Contains(c.hopeless, v) {
			continue
		}
		start := time.Now()
		data, err := c.try(ctx, v)
		if err == nil {
			return Mounted{
				Source: c.n.Source(), Type: "nfs " + string(v), Options: data,
				ReadOnly: c.flags.ReadOnly(), Took: time.Since(start),
			}, nil
		}
		refused = append(refused, refusal{version: v, err: err})
		if ctx.Err() != nil {
			break
		}
		c.log.DebugContext(ctx, fmt.Sprintf("mount %s: NFS %s from %s: %v", c.n.Source(), v, c.server, err))
	}
	return Mounted{}, refused
}

// maxServers bounds the addresses that are tried of one name.
const maxServers = 8

// resolve returns the addresses of a server, in the order of the resolver.
func resolve(ctx context.Context, server string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(server); err == nil {
		return []netip.Addr{a}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", server)
	if err != nil || len(addrs) == 0 {
		return nil, fmt.Errorf("look up the NFS server %s: check nameserver=, or write its address: %w", server, err)
	}
	return distinct(addrs), nil
}

func distinct(addrs []netip.Addr) []netip.Addr {
	var different []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); !slices.Contains(different, a) && len(different) < maxServers {
			different = append(different, a)
		}
	}
	return different
}

// An nfsClient tries the versions of one mount.
type nfsClient struct {
	n      NFS
	m      NFSMount
	flags  MountOptions
	server netip.Addr
	log    *slog.Logger
	// hopeless are versions that would fail as another one did.
	hopeless []NFSVersion
}

// try mounts with one version and returns the options that it used.
func (c *nfsClient) try(ctx context.Context, v NFSVersion) (data string, err error) {
	if v != NFS3 {
		// Until the mount itself is refused nothing depends on the minor version.
		c.hopeless = onlyFour()
	}
	modules := c.modules(v)
	if err := c.lacks(modules); err != nil {
		return "", err
	}
	// The server is asked while the modules load: neither needs the other.
	loaded := make(chan error, 1)
	go func() { loaded <- c.load(ctx, modules) }()
	facts := serverFacts{
		server:    c.server,
		client:    localAddr(c.server),
		nfsPort:   c.n.port("port"),
		mountPort: c.n.port("mountport"),
	}
	switch {
	case v == NFS3:
		err = c.askThree(ctx, &facts)
	case !c.n.RDMA():
		to := netip.AddrPortFrom(c.server, cmp.Or(facts.nfsPort, nfsPort))
		_, err = call(ctx, "tcp", to, false, procedure{programNFS, 4, 0, "NFS NULL"}, nil)
	}
	if err := errors.Join(err, <-loaded); err != nil {
		return "", err
	}
	if c.n.RDMA() && facts.nfsPort == 0 {
		facts.nfsPort = rdmaPort
	}
	if v != NFS3 {
		c.nameClient(ctx, facts.client)
	}
	o := c.flags
	o.Data = c.n.mountData(v, facts)
	said := openLog()
	defer func() { _ = said.Close() }()
	err = mount(ctx, c.n.Source(), c.m.Dir, "nfs", o)
	if err == nil {
		return o.Data, nil
	}
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) {
		c.hopeless = nil // another minor version may be spoken
	}
	return "", c.explain(ctx, v, o, err, about(said.Messages(), "NFS", "nfs:", "RPC", "rpcrdma:"))
}

// load loads the modules of a version, one after the other.
func (c *nfsClient) load(ctx context.Context, modules []string) error {
	for _, module := range modules {
		if err := c.m.Modules.load(ctx, module); err != nil {
			return err
		}
	}
	return nil
}

// lacking says for each version which of its modules is not in the image; nil if one of them has
// all. It is called before anything is waited for: no adapter or server can fix this.
func (c *nfsClient) lacking() refusals {
	var refused refusals
	var told []string
	for _, v := range c.n.Versions {
		err := c.lacks(c.modules(v))
		if err == nil {
			return nil
		}
		if !slices.Contains(told, v.module()) { // the minor versions have one
			refused, told = append(refused, refusal{version: v, err: err}), append(told, v.module())
		}
	}
	return refused
}

// lacks names the first of the modules that is not in the image.
func (c *nfsClient) lacks(modules []string) error {
	for _, module := range modules {
		if !c.m.Modules.available(module) {
			return fmt.Errorf("the image has no module %s: add --profile %s", module, profileOf(module))
		}
	}
	return nil
}

func (c *nfsClient) modules(v NFSVersion) []string {
	modules := []string{"nfs", v.module()}
	if c.n.RDMA() {
		modules = append(modules, "rpcrdma")
	}
	return modules
}

// askThree finds the ports of a version 3 server and asks its mount daemon, so
// that a refusal can be told with its reason.
func (c *nfsClient) askThree(ctx context.Context, facts *serverFacts) error {
	network := "tcp"
	if c.n.udp() {
		network = "udp"
	}
	if facts.nfsPort == 0 && !c.n.RDMA() {
		port, err := getPort(ctx, network, c.server, programNFS, 3)
		if errors.Is(err, errNotRegistered) {
			return fmt.Errorf("%s does not offer NFS 3 over %s (rpcbind knows of none)", c.server, network)
		}
		if err != nil {
			return err
		}
		facts.nfsPort = port
	}
	mountNet := c.n.mountProto()
	if facts.mountPort == 0 {
		port, err := getPort(ctx, mountNet, c.server, programMount, 3)
		if errors.Is(err, errNotRegistered) {
			return fmt.Errorf(
				"%s runs no mount daemon for NFS 3 over %s: check that rpc.mountd runs",
				c.server,
				mountNet,
			)
		}
		if err != nil {
			return err
		}
		facts.mountPort = port
	}
	to := netip.AddrPortFrom(c.server, facts.mountPort)
	status, flavours, err := askMount(ctx, mountNet, to, c.n.Path)
	switch {
	case err != nil:
		return err
	case status == mountNoEnt, status == mountAccess:
		return fmt.Errorf(
			"server %s does not export %s to this node: %s%s",
			c.server,
			c.n.Path,
			status,
			c.offered(ctx, mountNet, to),
		)
	case status != mountOK:
		return fmt.Errorf("server %s refuses %s: %s", c.server, c.n.Path, status)
	case len(flavours) > 0 && !c.n.has("sec") && !slices.Contains(flavours, authSys) &&
		!slices.Contains(flavours, authNone):
		return fmt.Errorf("server %s exports %s only with Kerberos (flavours %s): export it with sec=sys for a root",
			c.server, c.n.Path, clip(fmt.Sprint(flavours), maxGroups))
	}
	if c.n.RDMA() || network == "udp" {
		return nil
	}
	_, err = call(
		ctx,
		network,
		netip.AddrPortFrom(c.server, facts.nfsPort),
		false,
		procedure{programNFS, 3, 0, "NFS NULL"},
		nil,
	)
	return err
}

// offered is the second half of a refusal; a server that does not say leaves it empty.
func (c *nfsClient) offered(ctx context.Context, network string, to netip.AddrPort) string {
	exports, err := listExports(ctx, network, to)
	if err != nil {
		return ""
	}
	return "; " + offer(exports, c.n.Path)
}

// localAddr is the address that packets to the server come from. Connecting a
// UDP socket sends nothing.
func localAddr(server netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, nfsPort)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = conn.Close() }()
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// nameClient gives the NFS 4 client an identity. The kernel makes it from the host name: nodes
// that are all "(none)" would be one client to the server, and each would discard the other's
// state (nfs4_unique_id in Documentation/filesystems/nfs/client-identifier.rst).
func (c *nfsClient) nameClient(ctx context.Context, addr netip.Addr) {
	const parameter = "/sys/module/nfs/parameters/nfs4_unique_id"
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil || !addr.IsValid() {
		return
	}
	if name := unix.ByteSliceToString(
		u.Nodename[:],
	); name != "" && name != "(none)" &&
		!strings.HasPrefix(name, "localhost") {
		return
	}
	if b, err := kernfile.ReadFile(parameter); err == nil && len(bytes.TrimSpace(b)) > 0 {
		return
	}
	if err := os.WriteFile(parameter, []byte("nodisk-"+addr.String()), 0o600); err != nil {
		c.log.WarnContext(
			ctx,
			fmt.Sprintf(
				"give the NFS 4 client a name of its own: %v: set a host name, or two nodes may disturb each other",
				err,
			),
		)
	}
}

// explain puts errno into a sentence; said is what the kernel logged.
func (c *nfsClient) explain(ctx context.Context, v NFSVersion, o MountOptions, err error, said string) error {
	why := ""
	if c.n.RDMA() {
		why = c.explainRDMA(err, said)
	}
	switch {
	case why != "":
	case errors.Is(err, unix.ENOENT):
		why = fmt.Sprintf(
			"server %s has no %s for NFS %s: its version 4 paths may begin elsewhere (fsid=0, Pseudo)",
			c.server,
			c.n.Path,
			v,
		)
		if port, err := getPort(ctx, "tcp", c.server, programMount, 3); err == nil {
			why += c.offered(ctx, "tcp", netip.AddrPortFrom(c.server, port))
		}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		why = fmt.Sprintf(
			"server %s does not let %s mount %s: check the clients and the security flavour of the export",
			c.server,
			localAddr(c.server),
			c.n.Path,
		)
	case errors.Is(err, unix.EPROTONOSUPPORT):
		why = "the server or this kernel does not speak it"
	case errors.Is(err, unix.EINVAL):
		e := &refusedOptions{data: o.Data, err: err}
		if c.n.udp() {
			e.more = " (most kernels since 5.6 have no NFS over UDP: use proto=tcp)"
		}
		if said != "" {
			e.more += fmt.Sprintf(" (the kernel says %q)", said)
		}
		return e
	case errors.Is(err, unix.ENODEV):
		why = "this kernel has no NFS: add --profile nfs to the image"
	case errors.Is(err, unix.ECONNREFUSED):
		why = fmt.Sprintf("no NFS server on %s: check that nfsd runs", c.server)
	case errors.Is(err, unix.ETIMEDOUT):
		why = fmt.Sprintf("server %s answers too slowly or not at all", c.server)
	case errors.Is(err, unix.ESTALE):
		why = "the directory behind the export was replaced on the server: export it again there"
	case errors.Is(err, unix.EIO):
		why = "the server's answer was of no use: look at its log"
	case errors.Is(err, unix.EBUSY):
		why = "something is mounted on " + c.m.Dir + " already"
	}
	switch {
	case why == "" && said == "":
		return err
	case said != "":
		why = strings.TrimPrefix(why+fmt.Sprintf(" (the kernel says %q)", said), " ")
	}
	return fmt.Errorf("%s: %w", why, err)
}
