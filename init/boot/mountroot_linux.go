package boot

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/init/rootinit"
)

// unmountTimeout bounds how long the kernel may take to write back and release what an earlier
// attempt mounted.
const unmountTimeout = 5 * time.Second

// clearRoot unmounts what earlier attempts mounted. A disk or server that does not answer holds
// the call: it is left behind if the mount is out of the tree by then.
func (w *worker) clearRoot(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, unmountTimeout)
	defer cancel()
	err := unmountAll(limited, sysroot)
	if err == nil || ctx.Err() != nil || limited.Err() == nil || inTree(sysroot) {
		return err
	}
	w.log.Warn(fmt.Sprintf("the kernel still holds what was mounted on %s: going on without it", sysroot))
	return nil
}

func (w *worker) mount(ctx context.Context) (line string, err error) {
	if err := os.MkdirAll(sysroot, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", sysroot, err)
	}
	// First, because a lost session holds the unmount of its disk.
	ctx, done, err := w.whileAttached(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	if err := w.clearRoot(ctx); err != nil {
		return "", err
	}
	w.rootDisks = nil
	w.serveRequests()
	// What the disks show is not believed if there is no root on them. If ctx ends, the search
	// was not finished.
	defer func() { w.doubted = err != nil && ctx.Err() == nil }()
	switch w.root.Kind {
	case rootfs.KindNFS:
		w.mounted, err = w.mountNFS(ctx)
	case rootfs.KindBlock:
		w.mounted, err = w.mountBlock(ctx)
	case rootfs.KindRAM, rootfs.KindByDHCP:
		err = fmt.Errorf("no root to mount (%v)", w.root)
	default:
		err = fmt.Errorf("no root to mount (%v)", w.root)
	}
	if err != nil {
		return "", err
	}
	if w.init, err = w.findInit(ctx); err != nil {
		return "", err
	}
	return w.mounted.String(), nil
}

// limited is a step of stage mount that waits for somebody else.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, mountTimeout, timeoutError(mountTimeout))
}

// findInit looks for the init of what is mounted. It asks a disk or a server, which may
// have gone meanwhile: the look is left behind then.
func (w *worker) findInit(ctx context.Context) (string, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	type outcome struct {
		init string
		err  error
	}
	done := make(chan outcome, 1)
	m := w.mounted
	go func() {
		init, err := guard(func() (string, error) { return rootinit.FindInit(sysroot, w.plan.Init) })
		if err != nil {
			err = fmt.Errorf("%v is mounted, but %w%s", m, err, rootinit.Garbled(m, err))
		}
		done <- outcome{init, err}
	}()
	select {
	case o := <-done:
		return o.init, o.err
	case <-ctx.Done():
		return "", fmt.Errorf("%v is mounted, but does not answer the look for its init: %w", m, context.Cause(ctx))
	}
}

func (w *worker) modules() rootfs.Modules {
	return rootfs.Modules{
		Available: func(name string) bool {
			_, err := w.index.Resolve(name)
			return err == nil
		},
		Load: func(ctx context.Context, name string) error {
			ctx, cancel := limited(ctx)
			defer cancel()
			return w.loader.Load(ctx, name)
		},
	}
}

func (w *worker) mountNFS(ctx context.Context) (rootfs.Mounted, error) {
	n, err := w.root.NFS.For(plan.Client(w.net))
	if err != nil {
		return rootfs.Mounted{}, err
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	return rootfs.MountNFS(
		ctx,
		n,
		rootfs.NFSMount{Dir: sysroot, ReadOnly: w.root.ReadOnly, Modules: w.modules()},
		w.log,
	)
}

func (w *worker) mountBlock(ctx context.Context) (rootfs.Mounted, error) {
	b, err := w.findBlock(ctx)
	if err != nil {
		if w.root.Hint != "" {
			err = fmt.Errorf("%w; %s", err, w.root.Hint)
		}
		return rootfs.Mounted{}, err
	}
	w.rootDisks = b.Disks()
	return rootfs.MountBlock(ctx, b, rootfs.BlockMount{
		Dir: sysroot, Types: w.root.FSType, Options: w.root.Flags, ReadOnly: w.root.ReadOnly, Modules: w.modules(),
	}, w.log)
}

func (w *worker) findBlock(ctx context.Context) (rootfs.Block, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	if w.root.Block.OfFirstDisk() && len(w.disks) > 0 {
		return rootfs.FindOn(ctx, w.disks, w.root.Block, w.root.FSType, w.log)
	}
	return rootfs.FindBlock(ctx, w.root.Block, w.disks, w.log)
}
