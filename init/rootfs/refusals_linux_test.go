package rootfs

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Options that the kernel takes with no version are said once for all of them, of each
// server, without what only some versions have. Whatever else is refused has its own line.
func TestRefusalsOfOptions(t *testing.T) {
	n := NFS{Path: "/srv", Options: "foo=bar", Versions: []NFSVersion{NFS42, NFS41, NFS40, NFS3}}
	first, second := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	from := func(server netip.Addr, said string, versions ...NFSVersion) refusals {
		c := nfsClient{n: n, server: server, log: slog.New(slog.DiscardHandler)}
		var r refusals
		for _, v := range versions {
			o := MountOptions{Data: n.mountData(v, serverFacts{server: server, client: netip.MustParseAddr("10.0.0.7"), nfsPort: 2049, mountPort: 20048})}
			r = append(r, refusal{version: v, err: c.explain(t.Context(), v, o, unix.EINVAL, said)})
		}
		return r
	}
	at := func(server netip.Addr, r refusals) refusals {
		for i := range r {
			r[i].server = server
		}
		return r
	}
	const takes = ": the kernel does not take these options: "
	for name, tt := range map[string]struct {
		refused refusals
		want    string
	}{
		"one":    {from(first, "", NFS42), " NFS 4.2" + takes + "vers=4.2,proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar: invalid argument"},
		"fours":  {from(first, "", NFS42, NFS41, NFS40), " NFS 4.2, 4.1, 4.0" + takes + "proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar: invalid argument"},
		"all":    {from(first, "nfs: Unknown parameter 'foo'", n.Versions...), " NFS 4.2, 4.1, 4.0, 3" + takes + `proto=tcp,addr=10.0.0.1,port=2049,foo=bar (the kernel says "nfs: Unknown parameter 'foo'"): invalid argument`},
		"unlike": {append(from(first, "a", NFS42), from(first, "b", NFS41)...), "\n  NFS 4.2" + takes + `vers=4.2,proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar (the kernel says "a"): invalid argument` + "\n  NFS 4.1" + takes + `vers=4.1,proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar (the kernel says "b"): invalid argument`},
		"two servers": {
			append(at(first, from(first, "", NFS42, NFS41)), at(second, from(second, "", NFS42, NFS41))...),
			"\n  NFS 4.2, 4.1 from 10.0.0.1" + takes + "proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar: invalid argument" +
				"\n  NFS 4.2, 4.1 from 10.0.0.2" + takes + "proto=tcp,addr=10.0.0.2,port=2049,clientaddr=10.0.0.7,foo=bar: invalid argument",
		},
		"another's between": {
			append(append(from(first, "", NFS42), refusal{version: NFS3, err: errors.New("no answer")}), from(first, "", NFS41)...),
			"\n  NFS 4.2, 4.1" + takes + "proto=tcp,addr=10.0.0.1,port=2049,clientaddr=10.0.0.7,foo=bar: invalid argument\n  NFS 3: no answer",
		},
	} {
		if got := tt.refused.Error(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
		if !errors.Is(tt.refused, unix.EINVAL) {
			t.Errorf("%s: not the kernel's error", name)
		}
	}
	if n.Options = "proto=udp"; !strings.Contains(from(first, "", NFS3).Error(), "no NFS over UDP: use proto=tcp): invalid argument") {
		t.Errorf("%v", from(first, "", NFS3))
	}
}
