package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/server"
	"github.com/nodisk/nodisk/integration/tool"
)

// A Spec says what a rig is like. KernelDir and Cables must be set.
type Spec struct {
	KernelDir string // folder with vmlinuz and lib/modules/RELEASE, for the server
	Cables    int    // how many there are, for all nodes that run at a time
	// Log is a file that gets what the server writes. Empty means none.
	Log string
}

// A Rig is Ethernet without a bridge of this machine between: every cable goes
// from a node's NIC straight to one of a server VM, so that all frames pass
// (LACP, spanning tree, VLANs), and can be pulled at both ends. What the far
// ends are, a bond, a switch, a lossy line, is made by the server's kernel
// under test. Every node has its cables and servers in a network namespace of its own
// there, so that nodes do not see each other. Its methods may be called from
// several goroutines.
type Rig struct {
	lab    *lab.Lab
	spec   Spec
	accel  string
	server *server.VM

	mu    sync.Mutex
	last  int    // number of the last node
	taken []bool // the cables in use
	freed chan struct{}
}

// modules are the modules of the server, besides virtio's.
func modules() []string {
	return []string{"bonding", "8021q", "bridge", "veth", "sch_netem"}
}

func tools() []tool.Tool {
	return append(tool.NFSD(), tool.IP(), tool.TC(), tool.Dnsmasq(), tool.Tgtd(), tool.Tgtadm(), tool.Tune2fs())
}

// Missing lists what this machine lacks for a rig.
func Missing() []error {
	return tool.Missing(append(tools(), tool.QEMU(), tool.Busybox(), tool.Mke2fs())...)
}

// New makes a rig and starts its server. All cables are out.
func New(ctx context.Context, l *lab.Lab, s Spec) (*Rig, error) {
	if err := errors.Join(Missing()...); err != nil {
		return nil, err
	}
	r := &Rig{lab: l, spec: s, taken: make([]bool, s.Cables), freed: make(chan struct{})}
	if err := r.up(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make rig: %w", err), r.Close())
	}
	return r, nil
}

func (r *Rig) up(ctx context.Context) error {
	kernel := filepath.Join(r.spec.KernelDir, "vmlinuz")
	r.accel = r.lab.Acceleration(ctx, kernel)
	image := r.lab.Path("rig.server")
	if err := r.image(ctx, image); err != nil {
		return err
	}
	// It is in memory twice: the lab's files are in a tmpfs. QEMU has read it by
	// the time the server is up.
	defer func() { _ = os.Remove(image) }()
	began := time.Now()
	m := server.Machine{Accel: r.accel, Kernel: kernel, Image: image, Memory: 1024, Monitor: r.lab.Path("rig.monitor")}
	for i := range r.spec.Cables {
		near, far := r.ends(i)
		m.NICs = append(m.NICs, lab.NIC{Near: far, Far: near, MAC: fmt.Sprintf("52:54:00:78:00:%02x", i)})
	}
	var err error
	if r.server, err = server.Start(ctx, r.lab, m, "rig.server", r.spec.Log); err != nil {
		return err
	}
	for i := range r.spec.Cables {
		if err := r.server.QEMU.Plug(i, false); err != nil {
			return err
		}
	}
	r.lab.Log().Info("the rig's server is up", "cables", r.spec.Cables, "took",
		time.Since(began).Round(100*time.Millisecond))
	return nil
}

// Close switches the server off.
func (r *Rig) Close() error { return r.server.Close() }

// ends are the sockets of a cable, the node's first.
func (r *Rig) ends(cable int) (near, far string) {
	name := r.lab.Path("cable" + strconv.Itoa(cable))
	return name + ".node", name + ".server"
}

// take waits until that many cables are free, and takes them.
func (r *Rig) take(ctx context.Context, want int) (cables []int, err error) {
	if want > r.spec.Cables {
		return nil, fmt.Errorf("the rig has %d cables, not %d", r.spec.Cables, want)
	}
	for {
		r.mu.Lock()
		var free []int
		for i, taken := range r.taken {
			if !taken && len(free) < want {
				free = append(free, i)
			}
		}
		freed := r.freed
		if len(free) == want {
			for _, i := range free {
				r.taken[i] = true
			}
			r.mu.Unlock()
			return free, nil
		}
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %d free cables: %w", want, context.Cause(ctx))
		}
	}
}

func (r *Rig) give(cables []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range cables {
		r.taken[i] = false
	}
	close(r.freed)
	r.freed = make(chan struct{})
}

// number is the next node's.
func (r *Rig) number() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	return r.last
}

// image makes the server's initramfs.
func (r *Rig) image(ctx context.Context, file string) error {
	tree, err := r.lab.Tree()
	if err != nil {
		return err
	}
	disk, err := r.lab.Disk(ctx, "rig")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(disk) }()
	a := server.NewArchive()
	var settings strings.Builder
	for _, t := range tools() {
		path, err := a.Tool(t)
		if err != nil {
			return err
		}
		if t.Name == "ip" || t.Name == "tc" {
			settings.WriteString(strings.ToUpper(t.Name) + "=" + path + "\n")
		}
	}
	if err := a.AddServer(server.Files{
		Root: tree, Disk: disk,
		KernelDir: r.spec.KernelDir, Modules: modules(), Network: networkScript, Settings: settings.String(),
	}); err != nil {
		return err
	}
	return a.Write(file)
}
