package lab

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// tgtdPort is the iSCSI port, tgtdControl the number of tgtd's control socket.
const (
	tgtdPort    = 3260
	tgtdControl = "77"
)

// target exports an image as LUN 1 of a target of its own and returns the
// target's name. LUN 0 is tgtd's controller.
func (l *Lab) target(ctx context.Context, node, image string) (iqn string, drop func(context.Context) error,
	err error,
) {
	l.once.iscsi.Do(func() { l.tgtd, l.tgtdErr = l.startTgtd(ctx) })
	if l.tgtdErr != nil {
		return "", nil, l.tgtdErr
	}
	l.mu.Lock()
	l.targetID++
	tid := strconv.Itoa(l.targetID)
	l.mu.Unlock()
	iqn = fmt.Sprintf("iqn.2025-01.test.nodisk.lab:%s-%s", node, tid)
	if err := l.FillTgtd(ctx, tgtdControl, tid, iqn, image); err != nil {
		return "", nil, err
	}
	drop = func(ctx context.Context) error {
		select {
		case <-l.ctx.Done():
			return nil // tgtd ends, and the target with it: nobody may answer any longer
		default:
		}
		return l.tgtadm(ctx, tgtdControl, "--op", "delete", "--mode", "target", "--tid", tid, "--force")
	}
	return iqn, drop, nil
}

// FillTgtd gives the tgtd of that control socket a target with an image as LUN 1.
func (l *Lab) FillTgtd(ctx context.Context, control, tid, iqn, image string) error {
	for _, s := range [][]string{
		{"--op", "new", "--mode", "target", "--tid", tid, "-T", iqn},
		{"--op", "new", "--mode", "logicalunit", "--tid", tid, "--lun", "1", "-b", image},
		{"--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL"},
	} {
		if err := l.tgtadm(ctx, control, s...); err != nil {
			return fmt.Errorf("export iSCSI disk: %w", err)
		}
	}
	return nil
}

func (l *Lab) tgtadm(ctx context.Context, control string, args ...string) error {
	return tool.Tgtadm().Run(ctx, append([]string{"-C", control, "--lld", "iscsi"}, args...)...)
}

func (l *Lab) startTgtd(ctx context.Context) (*tool.Process, error) {
	return l.TgtdAt(ctx, tgtdControl, "0.0.0.0")
}

// TgtdAt starts a tgtd with a control socket of that number, which listens at one
// address.
func (l *Lab) TgtdAt(ctx context.Context, control, address string) (*tool.Process, error) {
	l.Log().Info("start tgtd", "address", address, "port", tgtdPort)
	p, err := l.Start(tool.Tgtd(), nil, "-f", "-C", control, "--iscsi", "portal="+address+":"+strconv.Itoa(tgtdPort))
	if err != nil {
		return nil, err
	}
	// tgtd logs nothing when it is ready: ask its control socket.
	err = tool.Poll(ctx, "tgtd's control socket", func(ctx context.Context) error {
		select {
		case <-p.Done:
			return nil // told below
		default:
			return l.tgtadm(ctx, control, "--op", "show", "--mode", "sys")
		}
	})
	select {
	case <-p.Done:
		return nil, fmt.Errorf("start tgtd: it ended, status %d; it said:\n%s", tool.ExitStatus(p.Err),
			transcript.Tail(p.Out.String(), 10))
	default:
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%w; it said:\n%s", err, transcript.Tail(p.Out.String(), 10))
	}
	return p, nil
}
