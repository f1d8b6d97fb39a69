package rootfs

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
		{"proto=rdma", unix.ENETUNREACH, "", "the subnet administrator names no path to 10.0.0.1"},
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
