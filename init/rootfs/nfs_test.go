package rootfs

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNFS(t *testing.T) {
	for in, want := range map[string]NFS{
		"nfs:10.0.0.1:/srv/root":            {Server: "10.0.0.1", Path: "/srv/root", Versions: newestFirst()},
		"nfs:/srv/root":                     {Path: "/srv/root", Versions: newestFirst()},
		"nfs:/srv/root:soft":                {Path: "/srv/root", Versions: newestFirst(), Options: "soft"},
		"nfs:[2001:db8::1]:/srv:vers=3,ro":  {Server: "2001:db8::1", Path: "/srv", Versions: []NFSVersion{NFS3}, Options: "ro"},
		"nfs4:files.example.org:/":          {Server: "files.example.org", Path: "/", Versions: onlyFour()},
		"nfs4:10.0.0.1:/a:vers=4.0":         {Server: "10.0.0.1", Path: "/a", Versions: []NFSVersion{NFS40}},
		"10.0.0.1:/a,vers=4,minorversion=1": {Server: "10.0.0.1", Path: "/a", Versions: []NFSVersion{NFS41}},
		"10.0.0.1:/a,nfsvers=3":             {Server: "10.0.0.1", Path: "/a", Versions: []NFSVersion{NFS3}},
		"10.0.0.1:/a,proto=rdma,port=20049,sec=sys,timeo=600": {
			Server: "10.0.0.1", Path: "/a", Versions: newestFirst(), Options: "proto=rdma,port=20049,sec=sys,timeo=600",
		},
		"nfs:vers=3:10.0.0.1:/a":         {Server: "10.0.0.1", Path: "/a", Versions: []NFSVersion{NFS3}},
		"nfs:ro,nolock:[2001:db8::1]:/a": {Server: "2001:db8::1", Path: "/a", Versions: newestFirst(), Options: "ro,nolock"},
		"nfs:vers=3:10.0.0.1:/a:soft":    {Server: "10.0.0.1", Path: "/a", Versions: []NFSVersion{NFS3}, Options: "soft"},
		"nfs://10.0.0.1/srv/root":        {Server: "10.0.0.1", Path: "/srv/root", Versions: newestFirst()},
		"nfs4://nas:2050/srv":            {Server: "nas", Path: "/srv", Versions: onlyFour(), Options: "port=2050"},
		"nfs://[2001:db8::1]/srv,soft":   {Server: "2001:db8::1", Path: "/srv", Versions: newestFirst(), Options: "soft"},
		"nfs://[2001:db8::1]:99/srv":     {Server: "2001:db8::1", Path: "/srv", Versions: newestFirst(), Options: "port=99"},
		"/a,":                            {Path: "/a", Versions: newestFirst()},
	} {
		got, err := ParseNFS(in)
		if err != nil {
			t.Errorf("ParseNFS(%q): %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseNFS(%q) (-want +got):\n%s", in, diff)
		}
	}
}

func TestParseNFSRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "must begin with a slash",
		"nfs:srv":                         "must begin with a slash",
		"2001:db8::1:/srv":                "write [2001:db8::1]:/path",
		"[10.0.0.1]:/srv":                 "not an IPv6 address in brackets",
		"[fe80::1:/srv":                   "not an IPv6 address in brackets",
		"[fe80::1%eth0,soft]:/a":          "whose zone is not the name of a device",
		"nfs:///srv":                      "no server before the colon",
		"nfs://nas:port/srv":              "not a port",
		"nfs:squash:10.0.0.1:/srv":        "neither an address nor a host name",
		"a b:/srv":                        "neither an address nor a host name",
		":/srv":                           "no server before the colon",
		"h:/a,vers=2":                     `wants NFS version "2"`,
		"h:/a,v4.3":                       `wants NFS version "4.3"`,
		"h:/a,v3,minorversion=1":          "goes with vers=4",
		"h:/a,port=0":                     "not a port",
		"h:/a,mountport=70000":            "not a port",
		"h:/a,proto=sctp":                 "not tcp, udp or rdma",
		"h:/a,mountproto=rdma":            "runs over tcp or udp",
		"h:/" + strings.Repeat("a", 1024): "more than 1024 bytes",
	} {
		got, err := ParseNFS(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseNFS(%q) = %+v, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestNFSFor(t *testing.T) {
	full := Client{Addr: netip.MustParseAddr("10.0.0.7"), Hostname: "node7", Server: netip.MustParseAddr("10.0.0.1")}
	for _, tt := range []struct {
		in   string
		c    Client
		want string
	}{
		{"/srv/%s", full, "10.0.0.1:/srv/node7"},
		{"/srv/%s/%s", Client{Addr: full.Addr, Server: full.Server}, "10.0.0.1:/srv/10.0.0.7/%s"},
		{"[2001:db8::1]:/srv", full, "[2001:db8::1]:/srv"},
		{"files:/srv", Client{}, "files:/srv"},
		{"/srv", Client{Addr: full.Addr}, "neither the command line nor DHCP (next-server) names one"},
		{"a:/srv/%s", Client{Hostname: "../other"}, "no usable host name"},
		{"a:/srv/%s", Client{}, "no usable host name"},
	} {
		n, err := ParseNFS(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		n, err = n.For(tt.c)
		switch {
		case err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want %q", tt.in, err, tt.want)
		case err == nil && n.Source() != tt.want:
			t.Errorf("%s: %s, want %s", tt.in, n.Source(), tt.want)
		}
	}
}

func TestMountData(t *testing.T) {
	four := serverFacts{server: netip.MustParseAddr("10.0.0.1"), client: netip.MustParseAddr("10.0.0.7")}
	three := serverFacts{server: four.server, client: four.client, nfsPort: 2049, mountPort: 20048}
	six := serverFacts{server: netip.MustParseAddr("2001:db8::1"), client: netip.MustParseAddr("2001:db8::7"), nfsPort: 2049, mountPort: 20048}
	for _, tt := range []struct {
		options string
		v       NFSVersion
		f       serverFacts
		want    string
	}{
		{"", NFS42, four, "vers=4.2,proto=tcp,addr=10.0.0.1,clientaddr=10.0.0.7"},
		{"", NFS3, three, "vers=3,proto=tcp,addr=10.0.0.1,port=2049,mountaddr=10.0.0.1,mountvers=3,mountproto=tcp,mountport=20048,nolock"},
		{"", NFS3, six, "vers=3,proto=tcp6,addr=2001:db8::1,port=2049,mountaddr=2001:db8::1,mountvers=3,mountproto=tcp6,mountport=20048,nolock"},
		{"proto=tcp,hard", NFS42, six, "vers=4.2,addr=2001:db8::1,port=2049,clientaddr=2001:db8::7,proto=tcp6,hard"},
		{"lock,hard,timeo=50", NFS3, three, "vers=3,proto=tcp,addr=10.0.0.1,port=2049,mountaddr=10.0.0.1,mountvers=3,mountproto=tcp,mountport=20048,lock,hard,timeo=50"},
		{"udp,port=12", NFS3, three, "vers=3,addr=10.0.0.1,mountaddr=10.0.0.1,mountvers=3,mountproto=udp,mountport=20048,nolock,udp,port=12"},
		{"proto=udp,mountproto=tcp,mountport=99", NFS3, three, "vers=3,addr=10.0.0.1,port=2049,mountaddr=10.0.0.1,mountvers=3,nolock,proto=udp,mountproto=tcp,mountport=99"},
		{"nolock,mountport=99,proto=rdma,port=20049,retry=5,bg", NFS41, four, "vers=4.1,addr=10.0.0.1,clientaddr=10.0.0.7,proto=rdma,port=20049"},
		{"clientaddr=0.0.0.0,sec=krb5", NFS40, four, "vers=4.0,proto=tcp,addr=10.0.0.1,clientaddr=0.0.0.0,sec=krb5"},
	} {
		if got := (NFS{Options: tt.options}).mountData(tt.v, tt.f); got != tt.want {
			t.Errorf("%q, NFS %s:\n got %s\nwant %s", tt.options, tt.v, got, tt.want)
		}
	}
}

func FuzzParseNFS(f *testing.F) {
	for _, s := range []string{"nfs:10.0.0.1:/a:v3", "nfs4:[fe80::1%eth0]:/a", "/a,port=1", ",v3", "h:/%s,proto=udp6,minorversion=2", `h:/a,context="a,b"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (NFS, error){ParseNFS, parseNFSRoot} {
			n, err := parse(s)
			if err != nil {
				continue
			}
			if len(n.Versions) == 0 || n.Path != "" && n.Path[0] != '/' || strings.ContainsAny(n.Server, "/, \"\n") {
				t.Errorf("%q: %+v", s, n)
			}
			_ = n.mountData(NFS3, serverFacts{})
			_ = n.mountData(NFS42, serverFacts{})
		}
	})
}
