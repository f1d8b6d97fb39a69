package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestNFSRDMA(t *testing.T) {
	for options, want := range map[string]bool{
		"": false, "proto=tcp": false, "proto=rdma": true, "proto=rdma6": true, "rdma": true,
		"hard,rdma,timeo=50": true, "proto=rdma,tcp": false, "udp,rdma": true, "rdma=1": false,
	} {
		if got := (NFS{Options: options}).RDMA(); got != want {
			t.Errorf("%q: %v, want %v", options, got, want)
		}
	}
}

// The kernel refuses proto=rdma with an IPv6 address, and takes the bare word with either
// (nfs_fs_context_parse_param in fs/nfs/fs_context.c).
func TestMountDataRDMA(t *testing.T) {
	four := serverFacts{server: netip.MustParseAddr("10.0.0.1"), nfsPort: rdmaPort, mountPort: 20048}
	six := serverFacts{server: netip.MustParseAddr("2001:db8::1"), nfsPort: rdmaPort, mountPort: 20048}
	for _, tt := range []struct {
		options string
		v       NFSVersion
		f       serverFacts
		want    string
	}{
		{"proto=rdma", NFS42, four, "vers=4.2,addr=10.0.0.1,port=20049,proto=rdma"},
		{"proto=rdma", NFS42, six, "vers=4.2,addr=2001:db8::1,port=20049,proto=rdma6"},
		{"rdma", NFS42, six, "vers=4.2,addr=2001:db8::1,port=20049,rdma"},
		{"proto=rdma6,port=99", NFS42, six, "vers=4.2,addr=2001:db8::1,proto=rdma6,port=99"},
		{"rdma", NFS3, four, "vers=3,addr=10.0.0.1,port=20049,mountaddr=10.0.0.1,mountvers=3,mountproto=tcp,mountport=20048,nolock,rdma"},
		{"proto=rdma6", NFS42, four, "vers=4.2,addr=10.0.0.1,port=20049,proto=rdma"},
		{"proto=tcp6", NFS42, four, "vers=4.2,addr=10.0.0.1,port=20049,proto=tcp"},
		{"proto=tcp6", NFS42, six, "vers=4.2,addr=2001:db8::1,port=20049,proto=tcp6"},
		{"proto=udp6,mountproto=udp6", NFS3, four, "vers=3,addr=10.0.0.1,port=20049,mountaddr=10.0.0.1,mountvers=3,mountport=20048,nolock,proto=udp,mountproto=udp"},
		{"proto=rdma", NFS3, six, "vers=3,addr=2001:db8::1,port=20049,mountaddr=2001:db8::1,mountvers=3,mountproto=tcp6,mountport=20048,nolock,proto=rdma6"},
	} {
		if got := (NFS{Options: tt.options}).mountData(tt.v, tt.f); got != tt.want {
			t.Errorf("%q, NFS %s:\n got %s\nwant %s", tt.options, tt.v, got, tt.want)
		}
	}
}

// later shows a file system that has the device from the third look on.
type later struct{ looks int }

func (l *later) Open(name string) (fs.File, error) {
	l.looks++
	sys := fstest.MapFS{}
	if l.looks > 2 {
		sys["class/infiniband/mlx5_0/node_guid"] = &fstest.MapFile{}
	}
	return sys.Open(name)
}

// everySecond is a wait with an event each second.
func everySecond(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestAwaitRDMA(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := awaitRDMA(t.Context(), &later{}, everySecond, log); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("a device after 2 s: %v after %v", err, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var said locked
		start := time.Now()
		err := awaitRDMA(t.Context(), fstest.MapFS{}, everySecond, slog.New(slog.NewTextHandler(&said, nil)))
		if !errors.Is(err, errNoRDMA) || time.Since(start) != rdmaDeviceTime {
			t.Errorf("no device: %v after %v, want %v after %v", err, time.Since(start), errNoRDMA, rdmaDeviceTime)
		}
		if want := "still waiting: no RDMA device yet, and the root is by NFS over RDMA, 10 s so far"; !strings.Contains(said.String(), want) {
			t.Errorf("it said %q, want %q", said.String(), want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		over := errors.New("the boot gave up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, over)
		defer cancel()
		if err := awaitRDMA(ctx, fstest.MapFS{}, everySecond, log); !errors.Is(err, over) || err.Error() != "no RDMA device yet: the boot gave up" {
			t.Errorf("the end of the attempt: %v, want %v", err, over)
		}
	})
	broken := errors.New("no netlink")
	wait := func(context.Context, func() (bool, error)) error { return broken }
	if err := awaitRDMA(t.Context(), fstest.MapFS{}, wait, log); !errors.Is(err, broken) {
		t.Errorf("no events: %v, want %v", err, broken)
	}
}

// Words for a root that contradict each other, or ask for what is not there.
func TestRootWordsOfRDMA(t *testing.T) {
	for line, want := range map[string]string{
		"root=nfs:10.0.0.1:/srv:proto=tcp,rdma":              "has proto=tcp and proto=rdma, which contradict each other",
		"root=nfs:10.0.0.1:/srv:rdma,proto=tcp":              "has proto=rdma and proto=tcp, which contradict each other",
		"root=nfs:10.0.0.1:/srv:rdma,proto=rdma6":            "",
		"root=nfs:10.0.0.1:/srv:proto=rdma,mountproto=tcp":   "",
		"root=iser:10.0.0.1::::iqn.2026-01.org.example:root": "asks for iSER, which is not there; write iscsi:10.0.0.1::::iqn.2026-01.org.example:root",
	} {
		_, err := ParseRoot(cmdline.Parse(line))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
