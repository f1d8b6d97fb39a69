package storm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
)

// servers are what one node of a storm boots from. They are its own: what
// breaks for it breaks for nobody else. The root's server has an address of its
// own on the node's bridge, so that it can go while DHCP stays.
type servers struct {
	lab   *lab.Lab
	n     *lab.Network
	c     Case
	image string // of the disk
	iqn   string
	tree  string // exported by NFS

	root *tool.Process // tgtd or ganesha
	dhcp *tool.Process
}

// portal is the address of the root's server.
func (s *servers) portal() string { return s.n.Host(2) }

// control is the number of tgtd's control socket.
func (s *servers) control() string { return strconv.Itoa(1000 + s.n.Number) }

// values are those of the placeholders.
func (s *servers) values() map[string]string {
	return map[string]string{
		"server": s.portal(), "gateway": s.n.Server().String(), "client": s.n.Client().String(),
		"mask": "255.255.255.0",
		"name": s.c.String(), "label": lab.RootLabel, "target": s.iqn, "export": s.tree,
		"nfsport": strconv.Itoa(30000 + s.n.Number), "mountport": strconv.Itoa(31000 + s.n.Number),
	}
}

// startServers makes the network and starts all servers but the one that is gone from
// the beginning.
func startServers(ctx context.Context, l *lab.Lab, c Case) (s *servers, err error) {
	s = &servers{lab: l, c: c}
	if s.n, err = l.NewNetwork(ctx, 1); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.portalUp(ctx); err != nil {
		return nil, err
	}
	if c.Root == lab.RootISCSI {
		s.iqn = fmt.Sprintf("iqn.2025-01.test.nodisk.lab:storm-%d", s.n.Number)
		if s.image, err = l.Disk(ctx, s.n.Bridge()); err != nil {
			return nil, err
		}
		if c.Fault == LUNEmpty {
			if err := blank(s.image); err != nil {
				return nil, err
			}
		}
	} else if s.tree, err = l.Tree(); err != nil {
		return nil, err
	}
	if err := s.startRoot(ctx); err != nil {
		return nil, err
	}
	if c.Static {
		return s, nil
	}
	return s, s.startDHCP()
}

func (s *servers) close() error {
	s.dhcp.Stop()
	s.root.Stop()
	var errs []error
	if s.image != "" {
		errs = append(errs, os.Remove(s.image))
	}
	return errors.Join(append(errs, s.n.Close())...)
}

func (s *servers) portalUp(ctx context.Context) error {
	return s.lab.IP(ctx, "address", "add", s.portal()+"/24", "dev", s.n.Bridge())
}

func (s *servers) portalDown(ctx context.Context) error {
	return s.lab.IP(ctx, "address", "delete", s.portal()+"/24", "dev", s.n.Bridge())
}

func (s *servers) startDHCP() (err error) {
	path := ""
	if s.c.Root == lab.RootISCSI {
		path = lab.Fill("iscsi:{server}::3260:1:{target}", s.values())
	}
	s.dhcp, err = s.n.DHCP(s.c.String(), path, "")
	return err
}

func (s *servers) startRoot(ctx context.Context) (err error) {
	if s.c.Root == lab.RootISCSI {
		if s.root, err = s.lab.TgtdAt(ctx, s.control(), s.portal()); err != nil {
			return err
		}
		return s.lab.FillTgtd(ctx, s.control(), "1", s.iqn, s.image)
	}
	values := s.values()
	s.root, err = s.lab.GaneshaAt(ctx, s.n.Bridge(), s.tree, values["nfsport"], values["mountport"])
	return err
}

// kill ends a server as a crash does.
func kill(p *tool.Process) error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.Done
	return nil
}

// breaks makes the fault. Faults of the node's own processes are not of here.
func (s *servers) breaks(ctx context.Context, qemu *lab.Monitor) error {
	switch s.c.Fault {
	case TargetKilled, NFSKilled:
		return kill(s.root)
	case TargetFrozen:
		return s.root.Signal(syscall.SIGSTOP)
	case PortalGone:
		return s.portalDown(ctx)
	case DHCPGone:
		return kill(s.dhcp)
	case CablePulled:
		return qemu.Plug(0, false)
	default:
		return nil // there from the beginning
	}
}

// heals mends it.
func (s *servers) heals(ctx context.Context, qemu *lab.Monitor) error {
	switch s.c.Fault {
	case TargetKilled, NFSKilled:
		return s.startRoot(ctx)
	case TargetFrozen:
		return s.root.Signal(syscall.SIGCONT)
	case LUNEmpty:
		return s.write(ctx)
	case PortalGone:
		return s.portalUp(ctx)
	case DHCPGone:
		return s.startDHCP()
	case CablePulled:
		return qemu.Plug(0, true)
	default:
		return nil
	}
}

// write fills the empty disk, under the running target or with a new one.
func (s *servers) write(ctx context.Context) error {
	if s.c.Restart {
		if err := kill(s.root); err != nil {
			return err
		}
	}
	// In place: tgtd has the file open.
	to, err := os.OpenFile(s.image, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the disk: %w", err)
	}
	from, err := os.Open(s.lab.Path("root.ext4"))
	if err != nil {
		return errors.Join(fmt.Errorf("write the disk: %w", err), to.Close())
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close(), from.Close()); err != nil {
		return fmt.Errorf("write the disk: %w", err)
	}
	if s.c.Restart {
		return s.startRoot(ctx)
	}
	return nil
}

// blank makes a disk empty without changing its size.
func blank(path string) error {
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, 0)
	}
	if err == nil {
		err = os.Truncate(path, info.Size())
	}
	if err != nil {
		return fmt.Errorf("empty the disk: %w", err)
	}
	return nil
}
