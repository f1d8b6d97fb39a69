package iscsi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
)

// DefaultPort is the port IANA gave to iscsi-target.
const DefaultPort = 3260

// A Target is one logical unit behind one portal.
type Target struct {
	Name   string // iqn., eui. or naa. name
	Portal Portal // the host may be empty: the caller fills in what DHCP said
	LUN    LUN
	// AnyLUN: the root path names no LUN. Of RFC 4173 that is LUN 0, and LUN is;
	// but many a target has a controller there and its disk behind it, so what
	// is meant is found out when the target shows what it has: see [Units].
	AnyLUN bool

	// Credentials for CHAP; the reverse pair lets the target prove itself.
	User            string
	Password        Secret
	ReverseUser     string
	ReversePassword Secret

	Iface  string // dracut's iscsi_iface_name, told to the kernel for iscsid
	NetDev string // dracut's netdev_name: connect through this device only

	// Warnings are sentences about a root path that can be used and may still
	// not mean what its author thinks.
	Warnings []string
}

// A Portal is where a target listens.
type Portal struct {
	Host string // address or host name, an IPv6 address without brackets
	Port uint16
}

// String is host:port with an IPv6 address in brackets.
func (p Portal) String() string {
	return net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port)))
}

// A Secret is a string that prints as stars whatever the format.
type Secret string

const stars = "***"

// Format hides the secret from every verb of fmt; an empty one prints empty.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = io.WriteString(f, stars)
	}
}

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprint(s))
}

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) {
	return []byte(fmt.Sprint(s)), nil
}

// String is the root path in dracut's form with passwords as stars.
func (t Target) String() string {
	var b strings.Builder
	b.WriteString("iscsi:")
	if t.User != "" || t.ReverseUser != "" {
		fmt.Fprintf(&b, "%s:%v", t.User, t.Password)
		if t.ReverseUser != "" {
			fmt.Fprintf(&b, ":%s:%v", t.ReverseUser, t.ReversePassword)
		}
		b.WriteByte('@')
	}
	if strings.Contains(t.Portal.Host, ":") {
		fmt.Fprintf(&b, "[%s]", t.Portal.Host)
	} else {
		b.WriteString(t.Portal.Host)
	}
	fmt.Fprintf(&b, ":6:%d:", t.Portal.Port)
	if t.Iface != "" || t.NetDev != "" {
		fmt.Fprintf(&b, "%s:%s:", t.Iface, t.NetDev)
	}
	if !t.AnyLUN {
		b.WriteString(t.LUN.String())
	}
	b.WriteString(":" + t.Name)
	return b.String()
}

// LogValue is String: no password reaches a log.
func (t Target) LogValue() slog.Value {
	return slog.StringValue(t.String())
}

// check reports what makes a login impossible before it starts.
func (t Target) check() error {
	switch {
	case t.Portal.Host == "":
		return fmt.Errorf("no server for target %s: the root path names none and DHCP gave none; write "+
			"iscsi:SERVER:::LUN:%s", t.Name, t.Name)
	case t.Portal.Port == 0:
		return fmt.Errorf("no port for target %s", t.Name)
	case t.Name == "":
		return errors.New("no target name")
	case t.User != "" || t.Password != "" || t.ReverseUser != "" || t.ReversePassword != "":
		return fmt.Errorf("log in to target %s as %q: %w", t.Name, t.User, ErrCHAP)
	}
	return nil
}
