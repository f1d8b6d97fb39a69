package plan

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestAhead(t *testing.T) {
	for _, tt := range []struct{ line, profiles, want string }{
		{"root=dhcp", "virt,iscsi,ext4", "iscsi_tcp sd_mod crypto-crc32c ext4 crypto-crc32c"},
		{"root=dhcp", "virt,iscsi,nfs,ext4", ""}, // DHCP will tell which
		{"root=dhcp", "virt,iscsi,ext4,xfs", "iscsi_tcp sd_mod crypto-crc32c"},
		{"root=dhcp rootfstype=xfs", "virt,iscsi,ext4,xfs", "iscsi_tcp sd_mod crypto-crc32c xfs crypto-crc32c"},
		{"root=iscsi:10.0.0.1::::iqn.2026-01.test:a", "iscsi,nfs,ext4", "iscsi_tcp sd_mod crypto-crc32c ext4 crypto-crc32c"},
		{"root=/dev/nfs nfsroot=10.0.0.1:/a", "iscsi,nfs,ext4", "nfsv3"},
		{"root=nfs4:10.0.0.1:/a", "nfs", "nfsv4"},
		{"root=nfs4:10.0.0.1:/a:proto=rdma", "nfs,rdma", "nfsv4 rpcrdma"},
		{"root=/dev/nfs nfsroot=10.0.0.1:/a,rdma", "nfs,rdma", "nfsv3 rpcrdma"},
		{"root=nfs4:10.0.0.1:/a:proto=rdma", "nfs", "nfsv4"},
		{"root=nfs4:10.0.0.1:/a", "nfs,rdma", "nfsv4"},
		{"root=nfs:10.0.0.1:/a", "nfs3", "nfsv3"}, // 4 comes first and is not in the image
		{"root=/dev/ram", "iscsi,ext4", ""},
	} {
		p, err := New(cmdline.Parse(tt.line+" nodisk.profile="+tt.profiles), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range p.ahead() {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s with %s: %q, want %q", tt.line, tt.profiles, got, tt.want)
		}
	}
}
