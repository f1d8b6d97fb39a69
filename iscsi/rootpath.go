package iscsi

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const rootPathForm = "[user:password[:user:password]@][server]:[protocol]:[port]:[iface:netdev:][LUN]:target"

// ParseRootPath reads an iSCSI root path: RFC 4173 section 5
// (server:protocol:port:LUN:target) with the additions of dracut.cmdline(7):
//
//	[iscsi:][user:password[:user:password]@][server]:[protocol]:[port]:[[iface]:[netdev]:][LUN]:target
//
// Protocol is 6 (TCP) or empty, port defaults to 3260. LUN is hexadecimal; an
// empty one leaves AnyLUN true. An IPv6 server stands in brackets. All wrong fields are
// reported, joined; no error holds a password.
func ParseRootPath(s string) (Target, error) {
	s = strings.TrimPrefix(s, "iscsi:")
	var (
		t    Target
		errs []error
	)
	credentials, rest, err := cutCredentials(s)
	if err == nil {
		err = t.setCredentials(credentials)
	}
	if err != nil {
		// What the fields are is not known now: reporting them could show a
		// part of a password.
		return Target{}, err
	}
	host, rest, err := cutServer(rest)
	if err != nil {
		return Target{}, err
	}
	t.Portal.Host = host

	fields, name, err := cutName(rest)
	if err != nil {
		return Target{}, err
	}
	if err := t.setName(name); err != nil {
		errs = append(errs, err)
	}
	if protocol := fields[0]; protocol != "" && protocol != "6" {
		errs = append(errs, fmt.Errorf("protocol %q is not TCP: write 6 or leave it empty", protocol))
	}
	if err := t.setPort(fields[1]); err != nil {
		errs = append(errs, err)
	}
	switch len(fields) {
	case 5: // dracut: iface, netdev, LUN
		t.Iface, t.NetDev = fields[2], fields[3]
	case 4: // dracut: netdev, LUN
		t.NetDev = fields[2]
	}
	lun := fields[len(fields)-1]
	t.AnyLUN = lun == ""
	if t.LUN, err = ParseLUN(lun); err != nil {
		errs = append(errs, fmt.Errorf("LUN %q: %w: write it in hexadecimal as in RFC 4173, for example 1 or 4752-3a4f",
			lun, err))
	} else if d, err := strconv.ParseUint(lun, 10, 64); err == nil && d >= 10 {
		t.warn("LUN %s is hexadecimal as in RFC 4173, that is %d; dracut reads it as decimal %d: for that write %x",
			lun, t.LUN.Kernel(), d, d)
	}
	if err := errors.Join(errs...); err != nil {
		return Target{}, err
	}
	return t, nil
}

// NewTarget makes a target of a server (an address, that of IPv6 with or without brackets,
// or a host name; it may be empty), a port (empty for [DefaultPort]) and a name, each
// as text and checked as in a root path. AnyLUN is true. All wrong ones are reported, joined.
func NewTarget(server, port, name string) (Target, error) {
	t := Target{AnyLUN: true}
	var errs []error
	host, bracketed := strings.CutPrefix(server, "[")
	if bracketed {
		host, bracketed = strings.CutSuffix(host, "]")
	}
	a, err := netip.ParseAddr(host)
	switch {
	case strings.Contains(server, "@"): // what is before it may be a password
		errs = append(errs, errors.New("server: an @ cannot be in an address or a host name"))
	case server != "" && !isHost(host),
		bracketed != strings.HasPrefix(server, "["),
		bracketed && (err != nil || !a.Is6()):
		errs = append(errs, fmt.Errorf("server %q is neither an address nor a host name", server))
	}
	t.Portal.Host = host
	errs = append(errs, t.setName(name), t.setPort(port))
	if err := errors.Join(errs...); err != nil {
		return Target{}, err
	}
	return t, nil
}

func (t *Target) setName(name string) error {
	t.Name = name
	if err := checkName(name); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !hasNameKind(name) {
		t.warn("target name %q does not begin with iqn., eui. or naa.", name)
	}
	return nil
}

func (t *Target) setPort(port string) error {
	t.Portal.Port = DefaultPort
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	t.Portal.Port = uint16(n)
	return nil
}

func (t *Target) warn(format string, args ...any) {
	t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...))
}

// cutCredentials splits at the first "@" before the target name. A target name
// may hold an "@" of its own.
func cutCredentials(s string) (credentials, rest string, err error) {
	before, after, ok := strings.Cut(s, "@")
	if !ok || nameStart(before) >= 0 || strings.Count(after, ":") < 4 && strings.Count(before, ":") >= 4 {
		return "", s, nil
	}
	server := after
	if i := nameStart(server); i >= 0 {
		server = server[:i]
	}
	if strings.Contains(server, "@") {
		return "", "", errors.New("more than one @ before the target name: a password with @ or : in it cannot be " +
			"written in a root path, put it in /etc/nodisk/iscsi.conf")
	}
	return before, after, nil
}

func (t *Target) setCredentials(s string) error {
	if s == "" {
		return nil
	}
	f := strings.Split(s, ":")
	if len(f) != 2 && len(f) != 4 {
		return fmt.Errorf("%d fields before @, not user:password or user:password:user:password: a name or password "+
			"with : in it cannot be written in a root path, put it in /etc/nodisk/iscsi.conf", len(f))
	}
	t.User, t.Password = f[0], Secret(f[1])
	if len(f) == 4 {
		t.ReverseUser, t.ReversePassword = f[2], Secret(f[3])
	}
	if t.User == "" && t.Password != "" || t.User != "" && t.Password == "" {
		return errors.New("user and password before @ must be given together")
	}
	if (t.ReverseUser == "") != (t.ReversePassword == "") {
		return errors.New("reverse user and password before @ must be given together")
	}
	return nil
}

func cutServer(s string) (host, rest string, err error) {
	if !strings.HasPrefix(s, "[") {
		host, rest, ok := strings.Cut(s, ":")
		if !ok {
			return "", "", fmt.Errorf("%q has no fields: write %s", s, rootPathForm)
		}
		if host != "" && !isHost(host) {
			return "", "", fmt.Errorf("server %q is neither an address nor a host name", host)
		}
		return host, rest, nil
	}
	host, rest, ok := strings.Cut(s[1:], "]")
	if !ok || !strings.HasPrefix(rest, ":") {
		return "", "", errors.New("server: no ]: after the [ of an IPv6 address")
	}
	if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
		return "", "", fmt.Errorf("server [%s] is not an IPv6 address", host)
	}
	return host, rest[1:], nil
}

// cutName splits what follows the server into three fields (protocol, port,
// LUN), four (netdev) or five (iface, netdev) and the target name, which holds
// colons itself.
func cutName(s string) (fields []string, name string, err error) {
	i := nameStart(s)
	if hasNameKind(s) {
		i = 0 // right after the server
	}
	if i < 0 {
		fields := strings.SplitN(s, ":", 4)
		if len(fields) < 4 {
			return nil, "", fmt.Errorf("no target name: write %s", rootPathForm)
		}
		return fields[:3], fields[3], nil
	}
	fields, name = strings.Split(s[:i], ":"), s[i+1:]
	switch {
	case len(fields) < 3:
		return nil, "", fmt.Errorf("not enough fields between server and target, protocol:port:LUN needed (each may "+
			"be empty): write %s", rootPathForm)
	case len(fields) > 5:
		return nil, "", fmt.Errorf("%d fields between server and target, at most 5 possible: an IPv6 server must "+
			"stand in brackets; write %s", len(fields), rootPathForm)
	}
	return fields, name, nil
}

// nameStart is the index of the colon before the target name, -1 when no known
// kind of name follows.
func nameStart(s string) int {
	first := -1
	for _, kind := range []string{":iqn.", ":eui.", ":naa."} {
		if i := strings.Index(s, kind); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}
