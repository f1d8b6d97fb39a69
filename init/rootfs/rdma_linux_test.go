package rootfs

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the image does not have is told at once: no adapter that comes, and no server,
// would mend it.
func TestMountNFSLacking(t *testing.T) {
	for name, tt := range map[string]struct {
		options string
		has     []string
		want    string
	}{
		"no rpcrdma":    {"proto=rdma", []string{"nfs", "nfsv3", "nfsv4"}, "the image has no module rpcrdma: add --profile rdma"},
		"no version":    {"proto=rdma", []string{"nfs", "rpcrdma"}, "the image has no module nfsv3: add --profile nfs"},
		"not even TCP":  {"", nil, "the image has no module nfs: add --profile nfs"},
		"TCP, no nfsv3": {"", []string{"nfs"}, "the image has no module nfsv3: add --profile nfs"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			start := time.Now()
			n := NFS{Server: "server.invalid", Path: "/root", Versions: []NFSVersion{NFS42, NFS3}, Options: tt.options}
			_, err := MountNFS(ctx, n, NFSMount{Dir: t.TempDir(), Modules: Modules{
				Available: func(module string) bool { return slices.Contains(tt.has, module) },
			}}, nil)
			if err == nil || !strings.Contains(err.Error(), "NFS 3: ") || !strings.Contains(err.Error(), tt.want) || time.Since(start) > time.Second {
				t.Errorf("%v after %v, want %q", err, time.Since(start), tt.want)
			}
		})
	}
}

// What is said of the numbers that mount(2) returns. ECONNREFUSED, EPROTO and the EINVAL of frwr were
// seen over softib; ENETUNREACH is from the source.
func TestExplainRDMA(t *testing.T) {
	for _, tt := range []struct {
		options string
		err     unix.Errno
		said    string
		want    string
	}{
		{"proto=rdma", unix.ECONNREFUSED, "", "10.0.0.1 serves no NFS over RDMA at port 20049: check that its nfsd listens there"},
		{"rdma,port=99", unix.ECONNREFUSED, "", `at port 99: check that its nfsd listens there (rdma=y in nfs.conf, or "rdma 99" in /proc/fs/nfsd/portlist)`},
		{"proto=rdma", unix.EPROTO, "", "the interface to 10.0.0.1 has no RDMA device"},
		{"proto=rdma", unix.ENETUNREACH, "", "there is no path to 10.0.0.1, or it does not answer: check that the server is up"},
		{
			"proto=rdma", unix.EINVAL, "rpcrdma: 'frwr' mode is not supported by device softib0",
			`the RDMA device cannot carry NFS (the kernel says "rpcrdma: 'frwr' mode is not supported by device softib0")`,
		},
		{"proto=rdma", unix.EINVAL, "", "the kernel does not take these options"},
		{"", unix.ECONNREFUSED, "", "no NFS server on 10.0.0.1: check that nfsd runs"},
	} {
		c := nfsClient{n: NFS{Options: tt.options}, server: netip.MustParseAddr("10.0.0.1"), log: slog.New(slog.DiscardHandler)}
		if err := c.explain(t.Context(), NFS42, MountOptions{}, tt.err, tt.said); !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q, %v: %q, want %q", tt.options, tt.err, err, tt.want)
		}
	}
}
