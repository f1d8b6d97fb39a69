package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/netsetup/ibft"
)

func (w *worker) attach(ctx context.Context) (string, error) {
	targets, err := w.targets()
	if err != nil {
		return "", err
	}
	if len(targets) == 0 {
		return "nothing: the root is " + w.root.String(), nil
	}
	name, source, err := iscsi.InitiatorName(w.nameSource())
	if err != nil {
		return "", err
	}
	w.log.Debug("initiator name", "name", name, "from", source)
	if err := writeFile("/run/initiatorname.iscsi", "InitiatorName="+name+"\n"); err != nil {
		return "", err
	}
	// The logins need no module, so they go on beside the loading of them.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(guarded(func() error {
		return unlessCurable(w.loader.Request(gctx, requests("iscsi", modload.StageStorage)...))
	}))
	groups := byTarget(targets)
	conns := make([]*iscsi.Connection, len(groups))
	for i, t := range groups {
		if w.session(t.name) != nil {
			continue // of an earlier attempt
		}
		g.Go(guarded(func() error {
			var err error
			conns[i], err = iscsi.LoginAny(gctx, t.portals, iscsi.Options{InitiatorName: name}, w.log)
			return err
		}))
	}
	err = g.Wait()
	w.serveRequests()
	for _, c := range conns {
		switch {
		case c == nil:
		case err != nil:
			_ = c.Close()
		default:
			var s *iscsi.Session
			if s, err = c.HandOver(ctx, w.log); err == nil {
				w.sessions = append(w.sessions, s)
				w.units = append(w.units, unit{s.Target.Name, s.Target.LUN, s.Disk})
			}
		}
	}
	if err != nil {
		return "", err
	}
	return w.show(ctx, groups)
}

// guarded is guard for an errgroup.
func guarded(f func() error) func() error {
	return func() error {
		_, err := guard(func() (string, error) { return "", f() })
		return err
	}
}

// show makes the kernel show the logical units that are wanted and not there
// yet, and leaves their disks for the mount: of these targets alone, since
// an earlier lease may have named others.
func (w *worker) show(ctx context.Context, groups []target) (string, error) {
	var disks, lines []string
	for _, t := range groups {
		s := w.session(t.name)
		lines = append(lines, s.String())
		for _, lun := range t.luns {
			disk := diskOf(w.units, t.name, lun)
			if disk == "" {
				var err error
				if disk, err = s.ScanLUN(ctx, lun); err != nil {
					return "", err
				}
				w.units = append(w.units, unit{t.name, lun, disk})
			}
			disks = append(disks, disk)
		}
	}
	w.disks = disks
	return strings.Join(lines, ", "), nil
}

// targets are those of the plan, or of DHCP's root path, with the server that
// DHCP or ip= names where they name none, and those of the firmware.
func (w *worker) targets() ([]iscsi.Target, error) {
	targets := w.plan.Targets
	if len(targets) == 0 {
		for _, spec := range w.root.ISCSI {
			t, err := parseTarget(spec)
			if err != nil {
				return nil, fmt.Errorf("DHCP's root path: %w", err)
			}
			for _, warning := range t.Warnings {
				w.log.Warn("DHCP's root path: " + warning)
			}
			targets = append(targets, t)
		}
	}
	full := make([]iscsi.Target, len(targets))
	for i, t := range targets {
		if server := w.bootServer(); t.Portal.Host == "" && server != "" {
			t.Portal.Host = server
		}
		full[i] = t
	}
	if !w.plan.Firmware {
		return full, nil
	}
	more, err := w.firmwareTargets()
	switch {
	case err != nil && len(full) == 0:
		return nil, err
	case err != nil:
		w.log.Warn(err.Error())
	case len(more) == 0 && len(full) == 0 && w.root.Kind == rootfs.KindBlock && w.root.Block.IsZero():
		return nil, permanent(errors.New("the root is the firmware's, but " + ibft.ErrNone.Error() + ": boot by the firmware's iSCSI initiator, or name the target by netroot=iscsi:"))
	case len(more) == 0:
		w.log.Info("rd.iscsi.firmware: " + ibft.ErrNone.Error())
	}
	return append(full, more...), nil
}

// bootServer is the server that ip= or DHCP names, "" when none does.
func (w *worker) bootServer() string {
	c := w.client()
	if !c.Server.IsValid() {
		return ""
	}
	return c.Server.String()
}

// client is what NFS and iSCSI need to know of this node.
func (w *worker) client() rootfs.Client {
	c := rootfs.Client{Hostname: w.net.Hostname, Server: w.net.Server}
	if len(w.net.Addrs) > 0 {
		c.Addr = w.net.Addrs[0].Addr()
	}
	if l := w.net.Lease; l != nil && !c.Server.IsValid() {
		c.Server = l.NextServer
		if !c.Server.IsValid() || c.Server.IsUnspecified() {
			c.Server = l.Server
		}
	}
	return c
}

func (w *worker) nameSource() iscsi.NameSource {
	s := iscsi.NameSource{CommandLine: w.plan.Initiator, IBFT: w.firmwareName, Hostname: w.net.Hostname, MAC: w.net.MAC.String()}
	if w.net.Lease != nil {
		s.DHCP = w.net.Lease.InitiatorName
	}
	// Absent files are absent sources.
	if b, err := os.ReadFile("/etc/iscsi/initiatorname.iscsi"); err == nil {
		s.File = string(b)
	}
	if b, err := os.ReadFile("/sys/class/dmi/id/product_uuid"); err == nil {
		s.UUID = string(b)
	}
	return s
}

// session is the one with a target, nil if there is none.
func (w *worker) session(name string) *iscsi.Session {
	i := slices.IndexFunc(w.sessions, func(s *iscsi.Session) bool { return s.Target.Name == name })
	if i < 0 {
		return nil
	}
	return w.sessions[i]
}
