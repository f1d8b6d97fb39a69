package rootfs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Program numbers (RFC 1833 section 3, RFC 1813).
const (
	programRPCBind = 100000
	programNFS     = 100003
	programMount   = 100005

	rpcbindPort = 111
	nfsPort     = 2049
	rdmaPort    = 20049
)

// errNotRegistered is a service that rpcbind does not know.
var errNotRegistered = errors.New("not registered with rpcbind")

// getPort asks the server's rpcbind for the port of a service. Over IPv4 that is
// GETPORT of version 2, which every rpcbind and portmap speaks; it knows no IPv6,
// where GETADDR of version 4 is asked (RFC 1833 sections 2.2.1 and 3.2).
func getPort(ctx context.Context, network string, server netip.Addr, program, version uint32) (uint16, error) {
	to := netip.AddrPortFrom(server, rpcbindPort)
	var (
		port uint16
		err  error
	)
	if server.Is4() {
		var args, results []byte
		transport := uint32(6) // IPPROTO_TCP
		if network == "udp" {
			transport = 17
		}
		for _, v := range []uint32{program, version, transport, 0} {
			args = appendUint32(args, v)
		}
		results, err = call(ctx, network, to, false, procedure{programRPCBind, 2, 3, "rpcbind GETPORT"}, args)
		if err == nil {
			port, err = parseGetPort(results)
		}
	} else {
		var args, results []byte
		args = appendUint32(appendUint32(args, program), version)
		for _, s := range []string{network + "6", "", ""} {
			args = appendOpaque(args, s)
		}
		results, err = call(ctx, network, to, false, procedure{programRPCBind, 4, 3, "rpcbind GETADDR"}, args)
		if err == nil {
			port, err = parseGetAddr(results)
		}
	}
	if err != nil {
		return 0, err
	}
	if port == 0 {
		return 0, errNotRegistered
	}
	return port, nil
}

func parseGetPort(results []byte) (uint16, error) {
	r := xdrReader{b: results}
	port := r.uint32()
	if r.err != nil || port > 65535 {
		return 0, errors.Join(fmt.Errorf("parse answer of rpcbind: port %d", port), r.err)
	}
	return uint16(port), nil
}

// parseGetAddr reads a universal address (RFC 5665 section 5.2.3.4), which ends
// in the high and low byte of the port: "::.8.1" is port 2049. Empty is none.
func parseGetAddr(results []byte) (uint16, error) {
	r := xdrReader{b: results}
	text := string(r.opaque(128))
	if r.err != nil {
		return 0, fmt.Errorf("parse answer of rpcbind: %w", r.err)
	}
	if text == "" {
		return 0, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) < 3 {
		return 0, fmt.Errorf("parse answer of rpcbind: %q is not a universal address", text)
	}
	high, err1 := strconv.ParseUint(parts[len(parts)-2], 10, 8)
	low, err2 := strconv.ParseUint(parts[len(parts)-1], 10, 8)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("parse answer of rpcbind: %q is not a universal address: %w", text, err)
	}
	return uint16(high<<8 | low), nil
}

// A mountStatus is mountstat3 of RFC 1813 section 5.1.5.
type mountStatus uint32

const (
	mountOK     mountStatus = 0
	mountNoEnt  mountStatus = 2
	mountAccess mountStatus = 13
)

func (s mountStatus) String() string {
	switch s {
	case mountOK:
		return "granted"
	case 1:
		return "not permitted (MNT3ERR_PERM): the server wants a source port below 1024 or another client"
	case mountNoEnt:
		return "no such directory (MNT3ERR_NOENT)"
	case 5:
		return "the server cannot read it (MNT3ERR_IO)"
	case mountAccess:
		return "access denied (MNT3ERR_ACCES)"
	case 20:
		return "not a directory (MNT3ERR_NOTDIR)"
	case 22:
		return "invalid argument (MNT3ERR_INVAL)"
	case 63:
		return "the name is too long (MNT3ERR_NAMETOOLONG)"
	case 10004:
		return "not supported (MNT3ERR_NOTSUPP)"
	case 10006:
		return "a fault of the server (MNT3ERR_SERVERFAULT)"
	}
	return "status " + strconv.FormatUint(uint64(s), 10)
}

const (
	maxPath     = 1024 // MNTPATHLEN
	maxName     = 255  // MNTNAMLEN
	maxHandle   = 64   // FHSIZE3
	maxFlavours = 32
)

// askMount is MNT of the mount protocol, version 3: may this node mount the
// path, and with which kinds of authentication (RFC 1813 section 5.2.1)? The
// server notes the client in its rmtab, which is informative only.
func askMount(ctx context.Context, network string, to netip.AddrPort, path string) (mountStatus, []uint32, error) {
	p := procedure{programMount, 3, 1, "MOUNT MNT"}
	results, err := call(ctx, network, to, true, p, appendOpaque(nil, path))
	if err != nil {
		return 0, nil, err
	}
	return parseMount(results)
}

func parseMount(results []byte) (mountStatus, []uint32, error) {
	r := xdrReader{b: results}
	status := mountStatus(r.uint32())
	if r.err != nil || status != mountOK {
		return status, nil, wrapParse("MNT", r.err)
	}
	r.opaque(maxHandle)
	var flavours []uint32
	for n := min(r.uint32(), maxFlavours); n > 0 && r.err == nil; n-- {
		flavours = append(flavours, r.uint32())
	}
	return status, flavours, wrapParse("MNT", r.err)
}

func wrapParse(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("parse answer to %s: %w", what, err)
}

// An export is one line of the server's export list.
type export struct {
	path   string
	groups []string // who may mount it; none: everybody
}

func (e export) String() string {
	if len(e.groups) == 0 {
		return e.path
	}
	return e.path + " (" + enumerate(e.groups, maxGroups) + ")"
}

// listExports is EXPORT of the mount protocol (RFC 1813 section 5.2.5).
func listExports(ctx context.Context, network string, to netip.AddrPort) ([]export, error) {
	results, err := call(ctx, network, to, true, procedure{programMount, 3, 5, "MOUNT EXPORT"}, nil)
	if err != nil {
		return nil, err
	}
	return parseExports(results)
}

func parseExports(results []byte) ([]export, error) {
	r := xdrReader{b: results}
	var exports []export
	for r.bool() {
		e := export{path: printable(r.opaque(maxPath))}
		for r.bool() {
			e.groups = append(e.groups, printable(r.opaque(maxName)))
		}
		if r.err == nil {
			exports = append(exports, e)
		}
	}
	return exports, wrapParse("EXPORT", r.err)
}

// printable keeps what a server sends from controlling the console.
func printable(b []byte) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, string(b))
}

// offer says what a server exports, within the bounds of a line: first what concerns path, which
// are the export of that name and those above it.
func offer(exports []export, path string) string {
	if len(exports) == 0 {
		return "it exports nothing"
	}
	about := func(e export) bool {
		return e.path == path || strings.HasPrefix(path, strings.TrimSuffix(e.path, "/")+"/")
	}
	exports = slices.Clone(exports)
	slices.SortStableFunc(exports, func(a, b export) int {
		switch x, y := about(a), about(b); {
		case x && y: // the nearest
			return len(b.path) - len(a.path)
		case x:
			return -1
		case y:
			return 1
		}
		return 0
	})
	words := make([]string, len(exports))
	for i, e := range exports {
		words[i] = e.String()
	}
	return "it exports " + enumerate(words, maxList)
}
