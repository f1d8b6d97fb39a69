package rootfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func servers(addrs ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// An address that takes connections and answers nothing leaves the others their
// time, and the one that works is taken.
func TestMountFromSharesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		var tried []string
		try := func(works string) func(context.Context, netip.Addr) (Mounted, refusals) {
			return func(ctx context.Context, a netip.Addr) (Mounted, refusals) {
				tried = append(tried, fmt.Sprintf("%s at %v", a, time.Since(start)))
				if a.String() == works {
					return Mounted{Source: "nas:/srv"}, nil
				}
				<-ctx.Done()
				return Mounted{}, refusals{{version: NFS3, err: errors.New("no answer")}, {version: NFS42, err: errors.New("refused")}}
			}
		}
		all := servers("10.0.0.1", "10.0.0.2", "10.0.0.3")
		m, err := mountFrom(ctx, all, try("10.0.0.3"), "nas:/srv")
		if err != nil || m.Source != "nas:/srv" {
			t.Errorf("%v, %v", m, err)
		}
		want := []string{"10.0.0.1 at 0s", "10.0.0.2 at 20s", "10.0.0.3 at 40s"}
		if diff := cmp.Diff(want, tried); diff != "" {
			t.Errorf("tried (-want +got):\n%s", diff)
		}
		_, err = mountFrom(ctx, all[:2], try(""), "nas:/srv")
		wantErr := "mount nas:/srv:\n  NFS 3 from 10.0.0.1: no answer\n  NFS 4.2 from 10.0.0.1: refused" +
			"\n  NFS 3 from 10.0.0.2: no answer\n  NFS 4.2 from 10.0.0.2: refused"
		if err == nil || err.Error() != wantErr || ctx.Err() == nil {
			t.Errorf("got  %v\nwant %s", err, wantErr)
		}
	})
}

func TestDistinct(t *testing.T) {
	got := distinct(servers("10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "10.0.0.2"))
	if want := servers("10.0.0.1", "fd00::1", "10.0.0.2"); !cmp.Equal(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
		t.Errorf("%v, want %v", got, want)
	}
	var many []netip.Addr
	for i := range 100 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	if got := distinct(many); len(got) != maxServers {
		t.Errorf("%d addresses are tried", len(got))
	}
}

// A name with two addresses, at one of which nobody listens: the other is asked
// too, whichever the resolver has first.
func TestMountNFSAsksAllAddresses(t *testing.T) {
	if !inNamespaces(t, true) {
		return
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.2 nas\n127.0.0.3 nas\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	for i, works := range []string{"127.0.0.2", "127.0.0.3"} {
		port := 2050 + i
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(works), uint16(port)).String())
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		go func() {
			if conn, err := l.Accept(); err == nil {
				_ = conn.Close()
				close(asked)
			}
		}()
		n := NFS{Server: "nas", Path: "/srv", Versions: []NFSVersion{NFS42}, Options: fmt.Sprint("port=", port)}
		_, err = MountNFS(t.Context(), n, NFSMount{Dir: t.TempDir()}, nil)
		if err == nil || !strings.Contains(err.Error(), " from 127.0.0.2: ") || !strings.Contains(err.Error(), " from 127.0.0.3: ") {
			t.Errorf("%v", err)
		}
		_ = l.Close()
		select {
		case <-asked:
		case <-time.After(10 * time.Second):
			t.Errorf("%s was not asked", works)
		}
	}
}
