package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
)

// powerOffGrace is how long a node may take from its root's marker to its end.
const powerOffGrace = 20 * time.Second

// Boot boots one node in a lab of its own. See [Lab.Boot].
func Boot(ctx context.Context, c Config, s BootSpec) (BootResult, error) {
	l, err := New(ctx, c)
	if err != nil {
		return BootResult{}, err
	}
	res, err := l.Boot(ctx, s)
	return res, errors.Join(err, l.Close())
}

// Boot boots a node and returns when it has switched itself off, has written
// what Until says, or the time is over. That a node does not reach its root is
// not an error but a result; an error is what kept the lab from trying.
func (l *Lab) Boot(ctx context.Context, s BootSpec) (res BootResult, err error) {
	if err := errors.Join(append(Missing(s), s.CheckStart())...); err != nil {
		return res, err
	}
	until, err := s.UntilLine()
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	if s.Own() && !s.Interactive && s.Until == "" {
		until = prompt()
	}
	n, err := l.NewNetwork(ctx, s.nics())
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	defer func() { err = errors.Join(err, n.Close()) }()

	second, err := l.second(ctx, s)
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	m := Machine{Spec: s, NICs: n.NICs(s.PXE), Accel: l.accelerationOf(ctx, s)}
	values, drop, err := l.values(ctx, s, n)
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	defer func() { err = errors.Join(err, drop()) }()
	if second != nil {
		m.NICs = append(m.NICs, second.NICs(false)...)
		values["server1"], values["client1"] = second.Server().String(), second.Client().String()
	}
	m.disk = values["snapshot"]
	m.Cmdline = strings.Join(strings.Fields(consoleOf(s.arch())+Fill(s.Words()+" "+s.Append, values)), " ")

	dropIBFT, err := m.Firmware(l.Path(fmt.Sprintf("ibft-%d", n.Number)), values)
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	defer func() { err = errors.Join(err, dropIBFT()) }()

	var tftp string
	if s.PXE {
		if tftp, err = n.TFTP(s, m.Cmdline, values); err != nil {
			return res, fmt.Errorf("boot %s: %w", s.name(), err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(tftp)) }()
	}
	serve := func() (*tool.Process, error) {
		return n.DHCP(s.name(), Fill(s.RootOption(), values), tftp)
	}
	if s.PXE || !s.Static && s.DHCPAfter == 0 {
		d, err := serve()
		if err != nil {
			return res, fmt.Errorf("boot %s: %w", s.name(), err)
		}
		defer d.Stop()
		defer func() { res.Served = d.Out.String() }()
		serve = nil
		if second != nil {
			d, err := second.DHCP(s.name(), "", "")
			if err != nil {
				return res, fmt.Errorf("boot %s: %w", s.name(), err)
			}
			defer d.Stop()
		}
	}

	limited, cancel := s.limit(ctx)
	defer cancel()
	v, err := l.Power(limited, m)
	if err != nil {
		return res, fmt.Errorf("boot %s: %w", s.name(), err)
	}
	defer v.Off()
	v.Until = until
	for _, r := range s.Replies {
		r.Type = Fill(r.Type, values)
		v.replies = append(v.replies, r)
	}
	if v.replies != nil {
		v.Script = v.answer
	}
	if s.Turns != nil {
		v.Script = v.turn
	}
	if serve != nil && s.DHCPAfter > 0 {
		v.after, v.late = s.DHCPAfter, func() (func(), error) {
			d, err := serve()
			return d.Stop, err
		}
	}
	res, err = v.Follow(limited)
	if err == nil && limited.Err() == nil { // the lab has not ended it
		if why := v.refused(); why != "" {
			if v.preface != nil {
				v.preface.drop()
			}
			err = &NotStarted{Why: why}
		}
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("boot %s: %w", s.name(), context.Cause(ctx))
	}
	return res, err
}

// Firmware writes the table of [BootSpec.IBFT], if there is one, to a file for
// QEMU. drop removes it.
func (m *Machine) Firmware(file string, values map[string]string) (drop func() error, err error) {
	if m.Spec.IBFT == nil {
		return func() error { return nil }, nil
	}
	m.ibft = file
	if err := os.WriteFile(file, m.Spec.IBFT(values), 0o600); err != nil {
		return nil, fmt.Errorf("write the firmware's table: %w", err)
	}
	return func() error { return os.Remove(file) }, nil
}

// values asks the lab for what the specification needs and returns the values
// of the placeholders. drop gives it back.
func (l *Lab) values(ctx context.Context, s BootSpec, n *Network) (values map[string]string, drop func() error,
	err error,
) {
	values = map[string]string{
		"server": n.Server().String(), "gateway": n.Server().String(), "client": n.Client().String(),
		"mask": "255.255.255.0", "mac": n.mac(0), "name": s.name(), "label": RootLabel, "uuid": RootUUID,
	}
	drop = func() error { return nil }
	switch s.Root {
	case RootISCSI:
		disk, err := l.diskOf(ctx, s, n)
		if err != nil {
			return nil, nil, err
		}
		iqn, remove, err := l.target(ctx, s.name(), disk.path)
		if err != nil {
			return nil, nil, errors.Join(err, disk.lose())
		}
		values["target"] = iqn
		drop = func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return errors.Join(remove(ctx), disk.lose())
		}
	case RootNFS3, RootNFS4:
		if values["export"], err = l.export(ctx, s); err != nil {
			return nil, nil, err
		}
	case RootVirtio:
		if values["snapshot"], values["disk"], drop, err = l.virtio(ctx, s); err != nil {
			return nil, nil, err
		}
	case RootRAM, RootNone:
	}
	return values, drop, nil
}

// second makes the second network of a specification, nil if it has none.
func (l *Lab) second(ctx context.Context, s BootSpec) (*Network, error) {
	if !s.Second {
		return nil, nil
	}
	return l.NewNetwork(ctx, 1)
}
