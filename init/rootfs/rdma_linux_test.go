package rootfs

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
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
