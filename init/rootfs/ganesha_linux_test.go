package rootfs

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ganeshaConfig exports one folder to everybody and one to nobody here. The
// grace period is off: nobody has a lock to reclaim.
const ganeshaConfig = `
NFS_CORE_PARAM { NFS_Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; }
NFSV4 { Graceless = true; RecoveryRoot = /run/ganesha/recovery; }
EXPORT {
	Export_Id = 1; Path = %[1]s/open; Pseudo = /open; Access_Type = RW; Squash = No_Root_Squash;
	Protocols = 3, 4; SecType = sys; FSAL { Name = VFS; }
}
EXPORT {
	Export_Id = 2; Path = %[1]s/closed; Pseudo = /closed; Access_Type = None;
	Protocols = 3, 4; SecType = sys; FSAL { Name = VFS; }
	CLIENT { Clients = 10.98.0.0/16; Access_Type = RO; }
}
`

// The RPC client against a real rpcbind and a real NFS server.
func TestGanesha(t *testing.T) {
	needsTools(t, "rpcbind", "ganesha.nfsd")
	if !inNamespaces(t, true) {
		return
	}
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{"/run/rpcbind", "/run/ganesha/recovery", dir + "/open", dir + "/closed"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "ganesha.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, ganeshaConfig, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddr("127.0.0.1")

	ctx := t.Context()
	_, err := getPort(ctx, "tcp", server, programMount, 3)
	if err == nil || !strings.Contains(err.Error(), "no rpcbind on 127.0.0.1:111 (tcp): start rpcbind there") {
		t.Errorf("without rpcbind: %v", err)
	}
	start(t, "rpcbind", "-f", "-w")
	until(t, "rpcbind", func(context.Context) error {
		_, err := os.Stat("/run/rpcbind.sock")
		return err
	})
	until(t, "rpcbind to answer", func(ctx context.Context) error {
		_, err := getPort(ctx, "udp", server, programRPCBind, 2)
		return err
	})
	if port, err := getPort(ctx, "tcp", server, programMount, 3); !strings.Contains(fmt.Sprint(err), errNotRegistered.Error()) {
		t.Errorf("mount daemon before it runs: %d, %v", port, err)
	}
	start(t, "ganesha.nfsd", "-F", "-L", filepath.Join(dir, "log"), "-f", config, "-p", "/run/ganesha.pid", "-N", "NIV_WARN")
	var mountPort uint16
	until(t, "the mount daemon", func(ctx context.Context) (err error) {
		mountPort, err = getPort(ctx, "tcp", server, programMount, 3)
		return err
	})
	to := netip.AddrPortFrom(server, mountPort)
	until(t, "the export", func(ctx context.Context) error {
		status, _, err := askMount(ctx, "tcp", to, dir+"/open")
		if err == nil && status != mountOK {
			err = fmt.Errorf("%s", status)
		}
		return err
	})

	for _, network := range []string{"tcp", "udp"} {
		port, err := getPort(ctx, network, server, programNFS, 3)
		if err != nil || port != nfsPort {
			t.Errorf("%s: NFS is on port %d, %v", network, port, err)
		}
		port, err = getPort(ctx, network, server, programMount, 3)
		if err != nil {
			t.Errorf("%s: %v", network, err)
			continue
		}
		to := netip.AddrPortFrom(server, port)
		status, flavours, err := askMount(ctx, network, to, dir+"/open")
		if err != nil || status != mountOK || len(flavours) != 1 || flavours[0] != authSys {
			t.Errorf("%s: MNT: %s, flavours %d, %v", network, status, flavours, err)
		}
		exports, err := listExports(ctx, network, to)
		if s := offer(exports, ""); err != nil || !strings.Contains(s, "it exports "+dir+"/open") {
			t.Errorf("%s: EXPORT: %s, %v", network, s, err)
		}
	}
	port, err := getPort(ctx, "tcp", netip.IPv6Loopback(), programNFS, 3)
	if err != nil || port != nfsPort {
		t.Errorf("GETADDR over IPv6: port %d, %v", port, err)
	}
	for _, version := range []uint32{3, 4} {
		if _, err := call(ctx, "tcp", netip.AddrPortFrom(server, nfsPort), false, procedure{programNFS, version, 0, "NFS NULL"}, nil); err != nil {
			t.Errorf("NULL of version %d: %v", version, err)
		}
	}
	_, err = call(ctx, "tcp", netip.AddrPortFrom(server, nfsPort), false, procedure{programNFS, 2, 0, "NFS NULL"}, nil)
	if err == nil || !strings.Contains(err.Error(), "the server offers versions 3 to 4, not 2") {
		t.Errorf("NULL of version 2: %v", err)
	}

	// What the administrator reads when the path is wrong or not for this node.
	for path, want := range map[string]string{
		dir + "/roof":   "server 127.0.0.1 does not export " + dir + "/roof to this node: access denied (MNT3ERR_ACCES); it exports " + dir + "/open",
		dir + "/closed": "server 127.0.0.1 does not export " + dir + "/closed to this node: access denied (MNT3ERR_ACCES); it exports " + dir + "/open",
	} {
		n := NFS{Server: "127.0.0.1", Path: path, Versions: []NFSVersion{NFS3}}
		_, err := MountNFS(ctx, n, NFSMount{Dir: t.TempDir()}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// Modules that the image does not have are told without asking the server.
func TestMountNFSWithoutModules(t *testing.T) {
	n := NFS{Server: "127.0.0.1", Path: "/srv", Versions: kernelOrder()}
	var loaded []string
	m := NFSMount{Dir: t.TempDir(), Modules: Modules{
		Available: func(module string) bool { return module == "nfs" },
		Load: func(_ context.Context, module string) error {
			loaded = append(loaded, module)
			return nil
		},
	}}
	_, err := MountNFS(t.Context(), n, m, nil)
	want := "mount 127.0.0.1:/srv:\n  NFS 3: the image has no module nfsv3: add --profile nfs\n  NFS 4.2: the image has no module nfsv4: add --profile nfs"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if len(loaded) > 0 {
		t.Errorf("loaded %v for versions that cannot be mounted", loaded)
	}
}
