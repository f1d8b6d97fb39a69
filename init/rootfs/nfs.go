package rootfs

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// An NFSVersion is a protocol version as the option vers= spells it.
type NFSVersion string

// The versions that a current kernel speaks. The zero value is none.
const (
	NFS3  NFSVersion = "3"
	NFS40 NFSVersion = "4.0"
	NFS41 NFSVersion = "4.1"
	NFS42 NFSVersion = "4.2"
)

// module is the kernel module with the version's client.
func (v NFSVersion) module() string {
	if v == NFS3 {
		return "nfsv3"
	}
	return "nfsv4"
}

// newestFirst is the order of the nfs: forms. kernelOrder is that of /dev/nfs,
// where the kernel itself would use version 3 only; it is also the fastest,
// since nfsv4.ko alone takes about a second to start.
func newestFirst() []NFSVersion { return []NFSVersion{NFS42, NFS41, NFS40, NFS3} }
func kernelOrder() []NFSVersion { return []NFSVersion{NFS3, NFS42, NFS41, NFS40} }
func onlyFour() []NFSVersion    { return []NFSVersion{NFS42, NFS41, NFS40} }

// An NFS is an export and how it is to be mounted.
type NFS struct {
	Server   string       // address (IPv6 without brackets) or host name; empty: who DHCP or ip= names
	Path     string       // absolute; may hold %s until For has replaced it
	Versions []NFSVersion // in the order they are tried
	Options  string       // mount options, without those about the version
}

// Source is the export as /proc/mounts shows it: 10.0.0.1:/srv/root.
func (n NFS) Source() string {
	if strings.Contains(n.Server, ":") {
		return "[" + n.Server + "]:" + n.Path
	}
	return n.Server + ":" + n.Path
}

// String adds the versions and options.
func (n NFS) String() string {
	words := make([]string, len(n.Versions))
	for i, v := range n.Versions {
		words[i] = string(v)
	}
	s := n.Source() + " by NFS " + strings.Join(words, ", ")
	if n.Options != "" {
		s += " (" + n.Options + ")"
	}
	return s
}

// ParseNFS reads dracut's forms nfs:[server:]path[:options] and
// nfs4:[server:]path[:options], and the bare [server:]path[,options] of a DHCP
// root-path; also anaconda's nfs:options:server:path, and RFC 2224's URL,
// nfs://server[:port]/path. The newest version comes first, unless an option pins one;
// nfs4: leaves version 3 out.
func ParseNFS(s string) (NFS, error) {
	if rest, ok := strings.CutPrefix(s, "nfs4:"); ok {
		return parseNFS(rest, onlyFour())
	}
	return parseNFS(strings.TrimPrefix(s, "nfs:"), newestFirst())
}

// parseNFSRoot reads the kernel's nfsroot=[server:]path[,options]
// (Documentation/admin-guide/nfs/nfsroot.rst), where version 3 comes first. The path
// is DHCP's where the value is empty or begins with a comma, so that it is options
// only, and with initramfs-tools' word for that, auto.
func parseNFSRoot(s string) (NFS, error) {
	// A server may be called as a scheme is, except for URLs.
	if problem, _ := foreign(s); problem != "" && strings.Contains(s, "://") {
		return NFS{}, errors.New(problem)
	}
	s = strings.TrimPrefix(s, "nfs:")
	if rest, ok := strings.CutPrefix(s, "auto"); ok && (rest == "" || rest[0] == ',') {
		s = rest
	}
	if options, ok := strings.CutPrefix(s, ","); ok || s == "" {
		n := NFS{Versions: kernelOrder()}
		return n.withOptions(options)
	}
	return parseNFS(s, kernelOrder())
}

func parseNFS(s string, order []NFSVersion) (NFS, error) {
	n := NFS{Versions: order}
	s, before := plainNFS(s)
	// The server ends at ":/", because an IPv6 address contains colons.
	if !strings.HasPrefix(s, "/") {
		server, path, ok := strings.Cut(s, ":/")
		if !ok {
			return NFS{}, errors.New("is not [server:]/path[,options]: the path must begin with a slash")
		}
		host, err := parseHost(server)
		if err != nil {
			return NFS{}, err
		}
		n.Server, s = host, "/"+path
	}
	// dracut separates the options by a colon, the kernel by a comma.
	at := strings.IndexAny(s, ":,")
	if at < 0 {
		at = len(s)
	}
	n.Path = s[:at]
	options := strings.Trim(before+","+strings.Trim(s[at:], ":,"), ",")
	switch {
	case strings.ContainsAny(n.Path, "\x00\n"):
		return NFS{}, errors.New("has a control character in the path")
	case len(n.Path) > 1024: // MNTPATHLEN of RFC 1813
		return NFS{}, errors.New("has a path of more than 1024 bytes")
	}
	return n.withOptions(options)
}

// plainNFS turns a URL, or options before the server, into server:/path and options.
func plainNFS(s string) (rest, options string) {
	if url, ok := strings.CutPrefix(s, "//"); ok {
		host, path, _ := strings.Cut(url, "/")
		end := strings.LastIndexByte(host, ']') + 1 // after an IPv6 address
		if name, port, ok := strings.Cut(host[end:], ":"); ok {
			host, options = host[:end]+name, "port="+port
		}
		return host + ":/" + path, options
	}
	server, _, _ := strings.Cut(s, ":/")
	first, _, ok := strings.Cut(server, ":")
	if !ok || !areOptions(first) {
		return s, ""
	}
	return s[len(first)+1:], first
}

// areOptions distinguishes mount options from the name or address of a server.
func areOptions(s string) bool {
	words := []string{
		"ro",
		"rw",
		"soft",
		"hard",
		"tcp",
		"udp",
		"rdma",
		"lock",
		"nolock",
		"v3",
		"v4",
		"noac",
		"noatime",
		"nosuid",
		"nodev",
		"intr",
		"nointr",
	}
	for word := range strings.SplitSeq(s, ",") {
		if !strings.Contains(word, "=") && !slices.Contains(words, word) {
			return false
		}
	}
	return true
}

func parseHost(s string) (string, error) {
	inner, open := strings.CutPrefix(s, "[")
	if open {
		inner, ok := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if !ok || err != nil || !a.Is6() {
			return "", fmt.Errorf("has %q as server, which is not an IPv6 address in brackets", s)
		}
		// The zone goes into the mount options: a comma there would begin
		// another one. It is a device name, or its number.
		if !isHostName(a.Zone()) {
			return "", fmt.Errorf("has %q as server, whose zone is not the name of a device", s)
		}
		return a.String(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Is6() {
			return "", fmt.Errorf("has the IPv6 address %s without brackets: write [%s]:/path", s, s)
		}
		return a.String(), nil
	}
	if !isHostName(s) {
		return "", fmt.Errorf("has %q as server, which is neither an address nor a host name", s)
	}
	if s == "" || len(s) > 253 {
		return "", errors.New("has no server before the colon, or one of more than 253 bytes")
	}
	return s, nil
}

// isHostName allows the characters of host and device names.
func isHostName(s string) bool {
	for _, c := range s {
		if !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// withOptions takes the options that choose a version out of the text, and adds the rest to the
// options.
func (n NFS) withOptions(text string) (NFS, error) {
	var keep []string
	if n.Options != "" {
		keep = append(keep, n.Options)
	}
	pinned, minor := "", ""
	for _, word := range splitOptions(text) {
		key, value, ok := strings.Cut(word, "=")
		switch {
		case ok && (key == "vers" || key == "nfsvers"):
			pinned = value
		case ok && key == "minorversion":
			minor = value
		case len(word) >= 2 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9':
			pinned = word[1:]
		case word != "":
			keep = append(keep, word)
		}
	}
	if minor != "" {
		if pinned != "" && pinned != "4" {
			return NFS{}, fmt.Errorf("has minorversion=%s, which goes with vers=4, not with vers=%s", minor, pinned)
		}
		pinned = "4." + minor
	}
	switch v := NFSVersion(pinned); {
	case pinned == "":
	case pinned == "4":
		n.Versions = onlyFour()
	case slices.Contains(newestFirst(), v):
		n.Versions = []NFSVersion{v}
	default:
		return NFS{}, fmt.Errorf("wants NFS version %q: current kernels speak 3, 4, 4.0, 4.1 and 4.2", pinned)
	}
	n.Options = strings.Join(keep, ",")
	return n, errors.Join(contradiction(text), n.checkOptions())
}

// contradiction reports that one list of options has two transports. Of two lists the later one
// wins: rootflags= over what a server says.
func contradiction(text string) error {
	first := ""
	for _, word := range splitOptions(text) {
		value, isProto := strings.CutPrefix(word, "proto=")
		value = strings.TrimSuffix(value, "6")
		switch {
		case !isProto && word != "tcp" && word != "udp" && word != "rdma":
		case first != "" && first != value:
			return fmt.Errorf("has proto=%s and proto=%s, which contradict each other: keep one of them", first, value)
		default:
			first = value
		}
	}
	return nil
}

func (n NFS) checkOptions() error {
	for _, key := range []string{"port", "mountport"} {
		v, ok := n.option(key)
		if p, err := strconv.ParseUint(v, 10, 16); ok && (err != nil || p == 0) {
			return fmt.Errorf("has %s=%s, which is not a port from 1 to 65535", key, v)
		}
	}
	for _, key := range []string{"proto", "mountproto"} {
		switch v, ok := n.option(key); v {
		case "tcp", "udp", "tcp6", "udp6":
		case "rdma", "rdma6":
			if key == "mountproto" {
				return errors.New("has mountproto=rdma: the mount protocol runs over tcp or udp")
			}
		default:
			if ok {
				return fmt.Errorf("has %s=%s, which is not tcp, udp or rdma", key, v)
			}
		}
	}
	return nil
}

// option returns the last value of an option; the bare words tcp, udp and rdma
// are values of proto, as in nfs(5).
func (n NFS) option(key string) (value string, ok bool) {
	for _, word := range splitOptions(n.Options) {
		k, v, _ := strings.Cut(word, "=")
		switch {
		case k == key:
			value, ok = v, true
		case key == "proto" && (word == "tcp" || word == "udp" || word == "rdma"):
			value, ok = word, true
		}
	}
	return value, ok
}

// port returns the number of port= or mountport=, 0 when there is none.
func (n NFS) port(key string) uint16 {
	v, _ := n.option(key)
	p, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(p)
}

// A Client is what a node knows about itself once its network is up.
type Client struct {
	Addr     netip.Addr
	Hostname string
	// Server is the server that ip= or DHCP (next-server) names.
	Server netip.Addr
}

// For completes an export for a node: a server that was left out is the one
// DHCP or ip= names, and the first %s in the path becomes the node's host name, or
// its address when it has none. That is the kernel's rule: it puts the name of
// the node there, which it sets to the address when nobody gave one
// (root_nfs_data in fs/nfs/nfsroot.c).
func (n NFS) For(c Client) (NFS, error) {
	if n.Server == "" {
		if !c.Server.IsValid() || c.Server.IsUnspecified() {
			return NFS{}, fmt.Errorf(
				"find the NFS server of %s: neither the command line nor DHCP (next-server) names one: "+
					"write server:%s",
				n.Path,
				n.Path,
			)
		}
		n.Server = c.Server.Unmap().String()
	}
	if strings.Contains(n.Path, "%s") {
		name := c.Hostname
		if name == "" && c.Addr.IsValid() {
			name = c.Addr.Unmap().String()
		}
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return NFS{}, fmt.Errorf(
				"replace %%s in the NFS path %s: the node has no usable host name or address (%q)",
				n.Path,
				name,
			)
		}
		n.Path = strings.Replace(n.Path, "%s", name, 1)
	}
	return n, nil
}
