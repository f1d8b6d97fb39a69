package iscsi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ipxePrefix begins the names iPXE makes up, so that access lists written for
// iPXE match (ipxe/src/net/tcp/iscsi.c).
const ipxePrefix = "iqn.2010-04.org.ipxe:"

// A NameSource holds everything an initiator name can come from, strongest
// first. Empty is absent.
type NameSource struct {
	CommandLine string // rd.iscsi.initiator=
	IBFT        string // initiator structure of the iBFT
	DHCP        string // option 203
	File        string // content of /etc/iscsi/initiatorname.iscsi
	Hostname    string // of the DHCP lease or the command line
	UUID        string // /sys/class/dmi/id/product_uuid
	MAC         string // of the interface that reaches the target
}

// commandLine is the source of a name that the command line has.
const commandLine = "rd.iscsi.initiator"

// ErrNameKind says that a name is of no kind that RFC 7143 section 4.2.7.1 knows. Some
// targets take any as an initiator's, and MAAS writes host names.
var ErrNameKind = errors.New("is none of iqn.YYYY-MM.DOMAIN:NAME, eui.DIGITS and naa.DIGITS")

// InitiatorName picks the first source there is, and reports which one. Two
// machines with one name evict each other's sessions forever, so there is no
// constant default: with no source at all it is an error.
func InitiatorName(s NameSource) (name, source string, err error) {
	for _, given := range []struct{ name, source string }{
		{strings.TrimSpace(s.CommandLine), commandLine},
		{strings.TrimSpace(s.IBFT), "iBFT"},
		{strings.TrimSpace(s.DHCP), "DHCP option 203"},
		{nameInFile(s.File), "/etc/iscsi/initiatorname.iscsi"},
	} {
		if given.name == "" {
			continue
		}
		check := ValidateName
		if given.source == commandLine {
			check = checkName // whoever wrote it knows a target that takes it
		}
		if err := check(given.name); err != nil {
			return "", "", fmt.Errorf("initiator name from %s: %w", given.source, err)
		}
		return given.name, given.source, nil
	}
	if h := strings.TrimSpace(s.Hostname); h != "" && h != "(none)" && !strings.HasPrefix(h, "localhost") {
		if err := ValidateName(ipxePrefix + h); err != nil {
			return "", "", fmt.Errorf("initiator name from the host name: %w", err)
		}
		return ipxePrefix + h, "host name", nil
	}
	if u := strings.ToLower(strings.TrimSpace(s.UUID)); usableUUID(u) {
		return ipxePrefix + u, "DMI UUID", nil
	}
	// iPXE has no further source. Firmware without a UUID is a reason to warn
	// nobody, as long as the name is one machine's.
	if m := strings.ReplaceAll(strings.ToLower(s.MAC), ":", "-"); m != "" {
		if err := ValidateName(ipxePrefix + m); err != nil {
			return "", "", fmt.Errorf("initiator name from the interface's address: %w", err)
		}
		return ipxePrefix + m, "interface address", nil
	}
	return "", "", errors.New("no initiator name: give rd.iscsi.initiator=iqn..., a host name by DHCP, or a machine " +
		"with a DMI UUID; it must be unique per machine")
}

// nameInFile finds the last InitiatorName= line, as iscsid reads it.
func nameInFile(content string) string {
	var name string
	for line := range strings.Lines(content) {
		key, value, ok := strings.Cut(line, "=")
		if ok && strings.TrimSpace(key) == "InitiatorName" {
			name = strings.TrimSpace(value)
		}
	}
	return name
}

// usableUUID reports whether a UUID is well-formed and not one of those that
// firmware shows when nobody set one: then many machines have the same.
func usableUUID(u string) bool {
	if len(u) != 36 || u[8] != '-' || u[13] != '-' || u[18] != '-' || u[23] != '-' {
		return false
	}
	digits, err := hex.DecodeString(strings.ReplaceAll(u, "-", ""))
	if err != nil || len(digits) != 16 {
		return false
	}
	return u != "03000200-0400-0500-0006-000700080009" && strings.Trim(u, "0-") != "" && strings.Trim(u, "f-") != ""
}

// maxName is the limit of RFC 7143 section 4.2.7.1, in bytes.
const maxName = 223

// ValidateName checks an iSCSI name: kind, length, and no byte that would
// break the text format. It is lenient about case.
func ValidateName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !hasNameKind(name) {
		return fmt.Errorf("name %q %w", name, ErrNameKind)
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > maxName:
		return fmt.Errorf("name is %d bytes long, %d are allowed", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' ' || r == ','
	}):
		return fmt.Errorf("name %q holds a space, comma or control character", name)
	}
	return nil
}

func hasNameKind(name string) bool {
	kind, rest, ok := strings.Cut(name, ".")
	return ok && rest != "" && (kind == "iqn" || kind == "eui" || kind == "naa")
}

// An ISID is the initiator's half of a session identifier.
type ISID [6]byte

// DeriveISID makes the ISID of one initiator at one portal: the same at every
// boot, so that a reconnect reinstates its own session instead of leaking one,
// and different for different portals, so that two paths are two sessions
// (RFC 7143 section 10.1.1). The form is open-iscsi's: OUI 00 02 3d and a
// qualifier of three bytes.
func DeriveISID(initiator string, portal Portal) ISID {
	h := fnv.New32a()
	_, _ = h.Write([]byte(initiator + "\n" + portal.String()))
	sum := h.Sum32()
	return ISID{0x00, 0x02, 0x3d, byte(sum>>16) ^ byte(sum>>24), byte(sum >> 8), byte(sum)}
}

// String is the ISID in hexadecimal.
func (i ISID) String() string {
	return hex.EncodeToString(i[:])
}
