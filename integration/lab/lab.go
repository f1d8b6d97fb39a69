package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/nodisk/nodisk/integration/tool"
)

// maxNetworks is how many 10.77.N.0/24 there are.
const maxNetworks = 250

// Config says how a lab is set up. The zero value is a good one.
type Config struct {
	// Accel is "kvm" or "tcg"; empty means kvm where a probe boots under it,
	// and tcg elsewhere.
	Accel string
	// Log is told what the lab starts. Nil discards.
	Log *slog.Logger
}

// A Lab holds the servers and networks that nodes boot from. Its methods may
// be called from several goroutines.
type Lab struct {
	conf   Config
	logger *slog.Logger
	dir    string
	ctx    context.Context // the life of the servers, which begin in later calls
	cancel context.CancelFunc

	once struct {
		accel, tree, disk, iscsi, rpcbind, nfs sync.Once
	}
	accel   string
	treeErr error
	diskErr error

	tgtd     *tool.Process
	tgtdErr  error
	rpcbind  *tool.Process
	ganesha  *tool.Process
	targetID int
	nfs      struct {
		root, path string // the user's directory, empty for the lab's own; by what path it is exported
		err        error
	}

	rpcbindErr  error
	unmount     []func() error // what is mounted, when the servers have ended
	registering sync.Mutex     // held while an NFS server of a storm starts

	mu   sync.Mutex
	used map[int]bool // networks that are up

	// plain has the plain kernels of the files that nodes boot.
	plain struct {
		sync.Mutex
		of map[string]string
	}
}

// New starts a lab in the namespaces that [Enter] made. The servers live until
// Close, or until ctx ends.
func New(ctx context.Context, c Config) (*Lab, error) {
	if !Inside() {
		return nil, errors.New("start lab: not in namespaces of its own, call Enter first")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	// In the private tmpfs, because nfs-ganesha opens files by handle, which
	// overlay file systems (a container's root) do not do.
	dir, err := os.MkdirTemp("/run", "nodisk-lab-")
	if err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	l := &Lab{conf: c, logger: c.Log, dir: dir, used: map[int]bool{}}
	l.ctx, l.cancel = context.WithCancel(ctx)
	if err := l.IP(ctx, "link", "set", "lo", "up"); err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	// ganesha resolves its bind address with AI_ADDRCONFIG: without one address
	// that is not 127.0.0.1 it finds none.
	if err := l.IP(ctx, "address", "replace", "10.77.255.1/32", "dev", "lo"); err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	return l, nil
}

// Close ends the servers and removes the lab's files.
func (l *Lab) Close() error {
	l.ganesha.Stop()
	l.rpcbind.Stop()
	l.tgtd.Stop()
	l.cancel()
	var errs []error
	for _, unmount := range l.unmount {
		errs = append(errs, unmount())
	}
	if err := errors.Join(append(errs, os.RemoveAll(l.dir))...); err != nil {
		return fmt.Errorf("close lab: %w", err)
	}
	return nil
}

// Log is told what the lab does.
func (l *Lab) Log() *slog.Logger { return l.logger }

// Start runs a program in the background, for as long as the lab lives. What it writes goes
// to tee as well, unless that is nil.
func (l *Lab) Start(t tool.Tool, tee io.Writer, args ...string) (*tool.Process, error) {
	return tool.Start(l.ctx, t, tee, args...)
}

// Path is of a file of the lab's.
func (l *Lab) Path(name string) string { return filepath.Join(l.dir, name) }

// IP runs ip(8).
func (l *Lab) IP(ctx context.Context, args ...string) error {
	return tool.IP().Run(ctx, args...)
}

// Tree returns the directory of the lab's root, made at the first call. It is
// what the NFS server exports.
func (l *Lab) Tree() (string, error) {
	dir := l.Path("root")
	l.once.tree.Do(func() { l.treeErr = RootTree(dir) })
	return dir, l.treeErr
}

// Disk returns a fresh copy of the lab's root as an ext4 image.
func (l *Lab) Disk(ctx context.Context, name string) (string, error) {
	tree, err := l.Tree()
	if err != nil {
		return "", err
	}
	master := l.Path("root.ext4")
	l.once.disk.Do(func() { l.diskErr = RootDisk(ctx, tree, master) })
	if l.diskErr != nil {
		return "", l.diskErr
	}
	image := l.Path(name + ".ext4")
	return image, copyFile(master, image, 0o600)
}

// writeFile writes a server's configuration.
func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
