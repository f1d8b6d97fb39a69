package rootfs

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// explainRDMA puts what mount(2) returns for a mount over RDMA into a sentence, empty where RDMA
// has no part in it. The numbers are those of rpcrdma_cm_event_handler in
// net/sunrpc/xprtrdma/verbs.c.
func (c *nfsClient) explainRDMA(err error, said string) string {
	port := cmp.Or(c.n.port("port"), rdmaPort)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Sprintf(
			"%s serves no NFS over RDMA at port %d: check that its nfsd listens there (rdma=y in nfs.conf, or "+
				"\"rdma %d\" in /proc/fs/nfsd/portlist)",
			c.server,
			port,
			port,
		)
	case errors.Is(err, unix.EPROTO): // RDMA_CM_EVENT_ADDR_ERROR
		why := fmt.Sprintf("the interface to %s has no RDMA device", c.server)
		if names, err := rdmaDevices(kernfile.DirFS("/sys")); err == nil && len(names) > 0 {
			why += fmt.Sprintf(" (there is %s, and it is not on that network)", enumerate(names, maxList))
		}
		return why + ", or nothing answers at that address: check that the server is up, mount from its address on " +
			"the InfiniBand or RoCE network, or by proto=tcp"
	case errors.Is(err, unix.ENETUNREACH): // RDMA_CM_EVENT_ROUTE_ERROR, RDMA_CM_EVENT_UNREACHABLE
		return fmt.Sprintf(
			"there is no path to %s, or it does not answer: check that the server is up and in this partition, and "+
				"that the subnet manager runs (sminfo)",
			c.server,
		)
	case errors.Is(err, unix.EINVAL) && strings.Contains(said, "rpcrdma:"):
		return "the RDMA device cannot carry NFS"
	}
	return ""
}
