package rootfs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// RootPathKey is what errors call DHCP's option.
const RootPathKey = "root-path (DHCP option 17)"

// WithRootPath completes a root by the root-path that DHCP gave, empty when it gave none. A root
// that needs none is returned as it is. The value has all the forms of root= that name a server;
// a bare /path is an export of DHCP's next-server.
func (r Root) WithRootPath(rootPath string) (Root, error) {
	rootPath = strings.Trim(rootPath, " \t\r\n\x00")
	disk := rootPath == "iscsi" || strings.HasPrefix(rootPath, "iscsi:")
	if !r.RootPath {
		if r.Kind == KindBlock && len(r.ISCSI) == 0 && disk {
			r.Hint = fmt.Sprintf("DHCP offers the iSCSI disk %s: add netroot=dhcp to attach it", hideSecrets(rootPath))
		}
		return r, nil
	}
	bad := func(problem, fix string) (Root, error) {
		return Root{}, &cmdline.ValueError{Key: RootPathKey, Value: hideSecrets(rootPath), Problem: problem, Fix: fix}
	}
	kind := r.Kind
	r.RootPath = false
	problem, _ := foreign(rootPath)
	switch what := laterForm(rootPath); {
	case rootPath == "":
		name := "name the root on the command line"
		if kind == KindNFS {
			name = "write nfsroot=SERVER:/PATH (what the kernel and dracut take then is nfsroot=/tftpboot/%s)"
		}
		return bad(
			"is missing from the lease, and the command line leaves the root to it",
			"set option 17 in the DHCP server, or "+name,
		)
	case printable([]byte(rootPath)) != rootPath:
		rootPath = strconv.Quote(hideSecrets(rootPath))
		return bad(
			"holds bytes that are not text",
			"mend option 17 in the DHCP server, and look for a server that should not be there",
		)
	case what != "":
		return bad("asks for a root from "+what+", which is not built yet", "use iscsi: or nfs: there")
	case problem != "":
		return bad(problem, "write iscsi:SERVER:PROTO:PORT:LUN:TARGET or nfs:SERVER:/PATH there")
	case disk && kind == KindNFS:
		return bad("is an iSCSI disk, but root=/dev/nfs wants an export", "write root=dhcp, or give nfsroot=")
	case disk:
		d, problem, fix := diskByLease(rootPath)
		if problem != "" {
			return bad(problem, fix)
		}
		r.Kind, r.ISCSI = KindBlock, []Disk{d}
		return r, nil
	case kind == KindBlock:
		return bad(
			fmt.Sprintf("is not an iSCSI disk, but root=%s wants one", r.Block),
			"write root=dhcp, or give netroot=iscsi:",
		)
	}
	n, err := ParseNFS(rootPath)
	if err != nil {
		return bad(err.Error(), "write iscsi:SERVER:PROTO:PORT:LUN:TARGET or SERVER:/PATH there")
	}
	if kind == KindNFS { // root=/dev/nfs: the command line's versions and options win
		all := len(newestFirst())
		if len(n.Versions) == all || len(r.NFS.Versions) < all {
			n.Versions = r.NFS.Versions
		}
		if n, err = n.withOptions(r.NFS.Options); err != nil {
			return bad(err.Error(), "")
		}
	} else if n, err = n.withOptions(r.Flags); err != nil {
		return bad(err.Error(), "mend rootflags=")
	}
	r.Kind, r.NFS = KindNFS, n
	return r, nil
}
