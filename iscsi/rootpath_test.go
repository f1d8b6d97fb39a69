package iscsi

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRootPath(t *testing.T) {
	const name = "iqn.2026-01.org.example:root"
	for path, want := range map[string]Target{
		"iscsi:10.0.0.1::::" + name: {Name: name, Portal: Portal{"10.0.0.1", 3260}, AnyLUN: true},
		"10.0.0.1:6:3261:1:" + name: {Name: name, Portal: Portal{"10.0.0.1", 3261}, LUN: SimpleLUN(1)},
		"iscsi:::::" + name:         {Name: name, Portal: Portal{"", 3260}, AnyLUN: true},
		"iscsi:disk.example.org:::a:" + name: {
			Name: name, Portal: Portal{"disk.example.org", 3260},
			LUN: SimpleLUN(10),
		},
		"iscsi:[fe80::1%eth0]::3262:2:iqn.2026-01.org.example:a:b:c": {
			Name: "iqn.2026-01.org.example:a:b:c", Portal: Portal{"fe80::1%eth0", 3262}, LUN: SimpleLUN(2),
		},
		"iscsi:10.0.0.1:::4186-9:" + name: {Name: name, Portal: Portal{"10.0.0.1", 3260}, LUN: 0x4186000900000000},
		"iscsi:10.0.0.1:::1:eui.0123456789abcdef": {
			Name: "eui.0123456789abcdef", Portal: Portal{"10.0.0.1", 3260}, LUN: SimpleLUN(1),
		},
		"iscsi:10.0.0.1:::10:" + name: {
			Name: name, Portal: Portal{"10.0.0.1", 3260}, LUN: SimpleLUN(16),
			Warnings: []string{"LUN 10 is hexadecimal as in RFC 4173, that is 16; dracut reads it as decimal 10: " +
				"for that write a"},
		},
		"iscsi:10.0.0.1:::1:disk@home": {
			Name: "disk@home", Portal: Portal{"10.0.0.1", 3260}, LUN: SimpleLUN(1),
			Warnings: []string{`target name "disk@home" does not begin with iqn., eui. or naa.`},
		},
		// dracut.cmdline(7)
		"iscsi:10.0.0.1::3260:default:eth1:1:" + name: {
			Name: name, Portal: Portal{"10.0.0.1", 3260}, LUN: SimpleLUN(1), Iface: "default", NetDev: "eth1",
		},
		"iscsi:10.0.0.1::3260:eth1:1:" + name: {
			Name: name, Portal: Portal{"10.0.0.1", 3260}, LUN: SimpleLUN(1),
			NetDev: "eth1",
		},
		"iscsi:me:pass@10.0.0.1::::" + name: {
			Name: name, Portal: Portal{"10.0.0.1", 3260}, User: "me",
			Password: "pass", AnyLUN: true,
		},
		"iscsi:me:pass:you:word@[::1]::::" + name: {
			Name: name, Portal: Portal{"::1", 3260},
			User: "me", Password: "pass", ReverseUser: "you", ReversePassword: "word", AnyLUN: true,
		},
		"iscsi:@192.168.1.100::3260::iqn.2009-01.com.example:testdi@sk": {
			Name: "iqn.2009-01.com.example:testdi@sk", Portal: Portal{"192.168.1.100", 3260}, AnyLUN: true,
		},
		"iscsi:192.168.1.100::3260::iqn.2009-01.com.example:a@b:c:d:e:f": {
			Name: "iqn.2009-01.com.example:a@b:c:d:e:f", Portal: Portal{"192.168.1.100", 3260}, AnyLUN: true,
		},
	} {
		got, err := ParseRootPath(path)
		if err != nil {
			t.Errorf("ParseRootPath(%q): %v", path, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseRootPath(%q) (-want +got):\n%s", path, diff)
		}
	}
}

func TestParseRootPathErrors(t *testing.T) {
	for path, want := range map[string][]string{
		"":                                 {"has no fields", "[server]:[protocol]"},
		"iscsi:10.0.0.1":                   {`"10.0.0.1" has no fields`},
		"iscsi:10.0.0.1:iqn.2026-01.x:a":   {"protocol:port:LUN needed"},
		"iscsi:10.0.0.1:::":                {"no target name"},
		"iscsi:10.0.0.1::::":               {"name is empty"},
		"iscsi:10.0.0.1:17:0:xyz:iqn.a b":  {`protocol "17" is not TCP`, `port "0"`, `LUN "xyz"`, "holds a space"},
		"iscsi:10.0.0.1::65536::iqn.2026":  {`port "65536"`},
		"iscsi:10.0.0.1:::12345:iqn.2026":  {`group "12345"`},
		"iscsi:10.0.0.1:::1-:iqn.2026":     {`group ""`},
		"iscsi:10.0.0.1:::1-2-3-4-5:iqn.x": {"more than four groups"},
		"iscsi:fe80::1:2:3::::iqn.2026":    {"IPv6 server must stand in brackets"},
		"iscsi:[fe80::1::::iqn.2026":       {"no ]:"},
		"iscsi:[10.0.0.1]::::iqn.2026":     {"not an IPv6 address"},
		"iscsi:a b::::iqn.2026":            {"neither an address nor a host name"},
		// No part of a password may be shown.
		"iscsi:me:SECRET:x@10.0.0.1::::iqn.2026":       {"3 fields before @"},
		"iscsi:me:SECRET:x:SECRET:x@h::::iqn.2026":     {"5 fields before @"},
		"iscsi:me:SEC@SECRET@10.0.0.1::::iqn.2026-x.y": {"more than one @"},
		"iscsi::SECRET@10.0.0.1::::iqn.2026-x.y":       {"must be given together"},
		"iscsi:me:SECRET:you:@10.0.0.1::::iqn.2026":    {"must be given together"},
		"iscsi:me:SECRET@10.0.0.1:::zz:iqn.2026":       {`LUN "zz"`},
		"iscsi:h::::iqn.2026-01.x:\u009ba":             {`name "iqn.2026-01.x:\u009ba" holds`},
	} {
		got, err := ParseRootPath(path)
		if err == nil {
			t.Errorf("ParseRootPath(%q) = %v, want an error", path, got)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("ParseRootPath(%q): %q lacks %q", path, err, w)
			}
		}
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("ParseRootPath(%q) shows a password: %v", path, err)
		}
	}
}

func TestTargetHidesPasswords(t *testing.T) {
	target, err := ParseRootPath("iscsi:me:SECRET1:you:SECRET2@[::1]:::1:iqn.2026-01.x:a")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := target.String(), "iscsi:me:***:you:***@[::1]:6:3260:1:iqn.2026-01.x:a"; got != want {
		t.Errorf("String: %s, want %s", got, want)
	}
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("x", "target", target, "list", []Target{target}, "secret", target.Password)
	log.Info(fmt.Sprintf("%v %+v %#v %q %s %x", target, []Target{target}, target, target.Password, target.Password,
		target.Password))
	if strings.Contains(b.String(), "SECRET") || strings.Contains(b.String(), "534543524554") {
		t.Errorf("a password is shown: %s", b.String())
	}
}

func FuzzParseRootPath(f *testing.F) {
	for _, s := range []string{
		"iscsi:10.0.0.1::::iqn.2026-01.x:a", "iscsi:[fe80::1]:6:3260:4752-3A4F-6b7e-2F99:iqn.x",
		"iscsi:u:p:r:s@h::1:if:dev:1:eui.0",
		"iscsi:@h:::2:naa.1", "a@b@c:::::", "[]::::iqn.", ":::::", "h:6:1:1:x:y@z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseRootPath(s)
		if err != nil {
			return
		}
		if got.Name == "" || got.Portal.Port == 0 {
			t.Fatalf("ParseRootPath(%q) = %v", s, got)
		}
		if got.User != "" || got.ReverseUser != "" {
			return // printed with stars
		}
		again, err := ParseRootPath(got.String())
		if err != nil {
			// A server-less or oddly named path may print as another form.
			if hasNameKind(got.Name) && !strings.Contains(got.Name, ":iqn.") {
				t.Fatalf("%q prints as %q, which is refused: %v", s, got, err)
			}
			return
		}
		if hasNameKind(got.Name) && (again.Name != got.Name || again.LUN != got.LUN || again.Portal != got.Portal) {
			t.Errorf("%q prints as %q, which reads as %v", s, got, again)
		}
	})
}

func TestLUN(t *testing.T) {
	for text, want := range map[string]struct {
		lun    LUN
		kernel uint64
		text   string
	}{
		"":                    {0, 0, "0"},
		"0001":                {SimpleLUN(1), 1, "1"},
		"ff":                  {SimpleLUN(255), 255, "ff"},
		"4100":                {0x4100 << 48, 0x4100, "4100"},
		"4752-3A4F-6b7e-2F99": {0x47523a4f6b7e2f99, 0x2f996b7e3a4f4752, "4752-3a4f-6b7e-2f99"},
		"6734-9-156f-127":     {0x67340009156f0127, 0x0127156f00096734, "6734-9-156f-127"},
		"4186-9":              {0x4186000900000000, 0x94186, "4186-9"},
		"0-0-1":               {0x10000, 0x100000000, "0-0-1"},
	} {
		l, err := ParseLUN(text)
		if err != nil || l != want.lun || l.Kernel() != want.kernel || l.String() != want.text ||
			lunFromKernel(l.Kernel()) != l {
			t.Errorf("ParseLUN(%q) = %#x (kernel %#x, %v), %v; want %+v", text, uint64(l), l.Kernel(), l, err, want)
		}
	}
}

func FuzzParseLUN(f *testing.F) {
	f.Add("4752-3A4F-6b7e-2F99")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLUN(s)
		if err != nil {
			return
		}
		if again, err := ParseLUN(l.String()); err != nil || again != l || lunFromKernel(l.Kernel()) != l {
			t.Errorf("%q is %v, which reads as %v, %v", s, l, again, err)
		}
	})
}

// What is given in parts is checked as the same in a root path.
func TestNewTarget(t *testing.T) {
	const name = "iqn.2026-01.org.example:root"
	for _, tt := range []struct{ server, port, name, want string }{
		{"10.0.0.1", "", name, "iscsi:10.0.0.1:6:3260::" + name},
		{"", "3261", name, "iscsi::6:3261::" + name},
		{"fd00::1", "", name, "iscsi:[fd00::1]:6:3260::" + name},
		{"[fe80::1%eth0]", "", name, "iscsi:[fe80::1%eth0]:6:3260::" + name},
		{"disk.example.org", "", "a@b:c", "iscsi:disk.example.org:6:3260::a@b:c"},
		{"[10.0.0.1]", "", name, `server "[10.0.0.1]" is neither an address nor a host name`},
		{"[fd00::1", "", name, `server "[fd00::1" is neither`},
		{"fd00::1]", "", name, `server "fd00::1]" is neither`},
		{"[]", "", name, `server "[]" is neither`},
		{"a/b", "0", "iqn. a", "server \"a/b\" is neither an address nor a host name\ntarget: "},
		{"", "65536", name, `port "65536" is not a number from 1 to 65535`},
		{"joe:secret@10.0.0.1", "", name, "server: an @ cannot be"},
	} {
		target, err := NewTarget(tt.server, tt.port, tt.name)
		if got := target.String(); err == nil && got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%+v: %v", tt, err)
		}
		if again, err2 := ParseRootPath(target.String()); err == nil && (err2 != nil || again.String() != target.String()) {
			t.Errorf("%+v: read again: %v, %v", tt, again, err2)
		}
	}
}
