package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"
)

// rdmaDeviceTime is how long an RDMA device may take to appear after the
// network is up: the interface is there already, and the driver's other half
// (mlx5_ib of mlx5_core, mlx4_ib of mlx4_core) comes by a module of its own.
const rdmaDeviceTime = 20 * time.Second

// errNoRDMA reports a node without an RDMA device.
var errNoRDMA = errors.New(
	"this node has no RDMA device: NFS over RDMA needs an InfiniBand or RoCE adapter and its driver " +
		"(add its profile: mlx5, mlx4 or ib), and TCP does without: leave proto=rdma out",
)

// RDMA reports whether the mount is to go over RDMA: proto=rdma, proto=rdma6, or
// the bare rdma of nfs(5).
func (n NFS) RDMA() bool {
	proto, _ := n.option("proto")
	return proto == "rdma" || proto == "rdma6"
}

// rdmaDevices returns the names of the RDMA devices in sysfs (rooted at /sys), such
// as mlx5_0: whatever registers with ib_core, InfiniBand, RoCE and iWARP.
func rdmaDevices(sysfs fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(sysfs, "class/infiniband")
	if errors.Is(err, fs.ErrNotExist) { // ib_core is not loaded
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list RDMA devices: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// awaitRDMA waits until the node has an RDMA device, at most [rdmaDeviceTime]. wait calls
// done at once and after every event of a device until it reports true: [uevent.Wait].
func awaitRDMA(
	ctx context.Context,
	sysfs fs.FS,
	wait func(ctx context.Context, done func() (bool, error)) error,
	log *slog.Logger,
) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rdmaDeviceTime, errNoRDMA)
	defer cancel()
	defer tellWait(log, "no RDMA device yet, and the root is by NFS over RDMA")()
	err := wait(ctx, func() (bool, error) {
		names, err := rdmaDevices(sysfs)
		return len(names) > 0, err
	})
	switch cause := context.Cause(ctx); {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(cause, errNoRDMA):
		return cause
	default: // the attempt is over
		return fmt.Errorf("no RDMA device yet: %w", cause)
	}
}

// familyProto is a value of proto= for a server with an address of that family: with IPv6 the
// kernel wants another value (proto=tcp6, rdma6; nfs(5)), and refuses that with IPv4.
func familyProto(word string, six bool) string {
	key, value, _ := strings.Cut(word, "=")
	if key != "proto" && key != "mountproto" {
		return word
	}
	switch plain := strings.TrimSuffix(value, "6"); {
	case plain != "tcp" && plain != "udp" && plain != "rdma":
		return word
	case six:
		return key + "=" + plain + "6"
	default:
		return key + "=" + plain
	}
}

// profileOf names the profile with a module of [nfsClient.modules].
func profileOf(module string) string {
	if module == "rpcrdma" {
		return "rdma"
	}
	return "nfs"
}
