package iscsi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve runs a target on loopback: handle has each connection, which is closed
// when it returns. All connections are over before the test ends.
func serve(t *testing.T, handle func(net.Conn)) Portal {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			handle(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return Portal{"127.0.0.1", uint16(l.Addr().(*net.TCPAddr).Port)}
}

// answering is a target that gives each connection's first login one answer,
// and waits until the initiator closes.
func answering(answer func() reply) func(net.Conn) {
	return func(c net.Conn) {
		p, err := readPDU(c)
		if err != nil {
			return
		}
		// In one segment with what the kernel has to read.
		_, _ = c.Write(append(answer().pdu(parseLoginRequest(p), 100).append(nil), pastLogin...))
		_, _ = io.Copy(io.Discard, c)
	}
}

const pastLogin = "a NOP-In for the kernel"

func testTarget(p Portal) Target {
	return Target{Name: "iqn.2026-01.test:a", Portal: p, LUN: SimpleLUN(1)}
}

func testOptions() Options {
	return Options{InitiatorName: "iqn.2026-01.test:node1", LoginTimeout: 10 * time.Second}
}

func TestLoginLeavesTheRestToTheKernel(t *testing.T) {
	portal := serve(t, answering(func() reply { return reply{text: "TargetPortalGroupTag=3"} }))
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := Login(t.Context(), testTarget(portal), testOptions(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	rest := make([]byte, len(pastLogin))
	if _, err := io.ReadFull(c.conn.conn, rest); err != nil || string(rest) != pastLogin {
		t.Errorf("after the login response: %q, %v", rest, err)
	}
	if c.Tag != 3 || c.TSIH != 7 || c.Portal.String() != portal.String() || c.lasting != c.Portal || c.Took <= 0 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(b.String(), "iscsi login") {
		t.Errorf("log: %s", &b)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestLoginFollowsRedirection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		detail byte
		stays  bool // a reconnect begins at the first portal
	}{{"temporary", 1, true}, {"permanent", 2, false}} {
		t.Run(tt.name, func(t *testing.T) {
			second := serve(t, answering(func() reply { return reply{} }))
			first := serve(t, answering(func() reply {
				return reply{class: 1, detail: tt.detail, text: fmt.Sprintf("TargetAddress=%v,1", second)}
			}))
			c, err := Login(t.Context(), testTarget(first), testOptions(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			lasting := second
			if tt.stays {
				lasting = first
			}
			if c.Portal.String() != second.String() || c.lasting.String() != lasting.String() {
				t.Errorf("at %v, to come back to %v; want %v and %v", c.Portal, c.lasting, second, lasting)
			}
			if c.ISID != DeriveISID("iqn.2026-01.test:node1", first) {
				t.Errorf("ISID %v does not belong to the configured portal", c.ISID)
			}
		})
	}
}

func TestLoginFailures(t *testing.T) {
	var loop Portal
	loop = serve(t, answering(func() reply {
		return reply{class: 1, detail: 1, text: fmt.Sprintf("TargetAddress=%v", loop)}
	}))
	closed := serve(t, func(net.Conn) {})
	closed.Port, closed.Host = freePort(t), "127.0.0.1"
	dead := serve(t, answering(func() reply {
		return reply{class: 1, detail: 1, text: fmt.Sprintf("TargetAddress=%v", closed)}
	}))
	for name, tt := range map[string]struct {
		target  Target
		options func(*Options)
		want    []string
		is      error
	}{
		"redirection in a circle": {
			target: testTarget(loop), want: []string{"moved to", "redirection 5 of one login"},
		},
		"redirection to nowhere": {
			target: testTarget(serve(t, answering(func() reply { return reply{class: 1, detail: 1} }))),
			want:   []string{"follow redirection", `read TargetAddress "": no host`},
		},
		"redirection to a dead port": {
			target: testTarget(dead),
			want: []string{fmt.Sprintf("connect to portal %v (where %v sent the login): connection refused", closed,
				dead)},
			is: syscall.ECONNREFUSED,
		},
		"unknown target": {
			target: testTarget(serve(t, answering(func() reply { return reply{class: 2, detail: 3} }))),
			want: []string{"target iqn.2026-01.test:a not found on portal 127.0.0.1:", "(status 0203)",
				"initiator iqn.2026-01.test:node1"},
		},
		"nothing listens": {
			target: testTarget(closed), want: []string{"connect to portal " + closed.String(), "connection refused",
				"nothing listens on port"},
		},
		"target closes": {
			target: testTarget(serve(t, func(c net.Conn) { _, _ = readPDU(c) })),
			want: []string{"log in to target iqn.2026-01.test:a", "closed the connection during the login",
				"access list"},
		},
		"not iSCSI": {
			target: testTarget(serve(t, func(c net.Conn) {
				_, _ = readPDU(c)
				_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n")
			})),
			want: []string{"not an iSCSI login"},
		},
		"slow target": {
			target:  testTarget(serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })),
			options: func(o *Options) { o.LoginTimeout = 100 * time.Millisecond },
			want:    []string{"receive login response: no answer from the target: timed out after 100ms"},
			is:      context.DeadlineExceeded,
		},
		"no server": {
			target: testTarget(Portal{"", 3260}), want: []string{"the root path names none and DHCP gave none",
				"iscsi:SERVER:::LUN:iqn"},
		},
		"credentials": {
			target: Target{Name: "iqn.2026-01.test:a", Portal: closed, User: "me", Password: "SECRET"},
			want:   []string{`as "me"`, "CHAP is not supported yet"}, is: ErrCHAP,
		},
		"no initiator name": {
			target: testTarget(closed), options: func(o *Options) {
				o.InitiatorName = ""
			}, want: []string{"initiator name is empty"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			if tt.options != nil {
				tt.options(&o)
			}
			c, err := Login(t.Context(), tt.target, o, nil)
			if err == nil {
				_ = c.Close()
				t.Fatal("logged in")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("shows a password: %v", err)
			}
		})
	}
}

// freePort is a port of loopback where nothing listens.
func freePort(t *testing.T) uint16 {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func TestLoginEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	portal := serve(t, func(c net.Conn) {
		_, _ = readPDU(c)
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	if _, err := Login(ctx, testTarget(portal), testOptions(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// Nobody is left without a word until the login is given up.
func TestLoginThatIsSlowIsTold(t *testing.T) {
	said := make(lines, 10)
	o := testOptions()
	o.LoginTimeout = 300 * time.Millisecond
	portal := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	_, err := Login(t.Context(), testTarget(portal), o, slog.New(slog.NewTextHandler(said, nil)))
	want := fmt.Sprintf("still waiting: portal %v has not let this node in for 200ms", portal)
	if line := <-said; err == nil || !strings.Contains(line, want) {
		t.Errorf("error %v, said %q, want %q", err, line, want)
	}
}

// lines is a log whose lines can be waited for.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

func TestLoginAny(t *testing.T) {
	good := serve(t, answering(func() reply { return reply{} }))
	hangs := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	missing := serve(t, answering(func() reply { return reply{class: 2, detail: 3} }))
	refused := Portal{"127.0.0.1", freePort(t)}

	c, err := LoginAny(t.Context(), []Target{testTarget(hangs), testTarget(refused), testTarget(good),
		testTarget(missing)}, testOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Portal.String() != good.String() {
		t.Errorf("logged in at %v, want %v", c.Portal, good)
	}
	_ = c.Close()

	_, err = LoginAny(t.Context(), []Target{testTarget(refused), testTarget(missing)}, testOptions(), nil)
	if err == nil {
		t.Fatal("logged in")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], refused.String()) ||
		!strings.Contains(lines[1], missing.String()) {
		t.Errorf("not one line for each portal:\n%v", err)
	}
	if _, err := LoginAny(t.Context(), nil, testOptions(), nil); err == nil {
		t.Error("logged in to nothing")
	}
}

func TestParseTargetAddress(t *testing.T) {
	for in, want := range map[string]Portal{
		"10.0.0.2":                   {"10.0.0.2", 3260},
		"10.0.0.2:3261,1":            {"10.0.0.2", 3261},
		"disk.example.org:860":       {"disk.example.org", 860},
		"[2001:db8::1]:3261,2":       {"2001:db8::1", 3261},
		"[2001:db8::1],1":            {"2001:db8::1", 3260},
		"10.0.0.2:":                  {"10.0.0.2", 3260},
		"":                           {},
		",1":                         {},
		"10.0.0.2:0":                 {},
		"10.0.0.2:many":              {},
		"[2001:db8::1":               {},
		"[2001:db8::1]3261":          {},
		"2001:db8::1:3260 no []s":    {},
		"\x1b[2J\x1b]0;owned\a:3260": {}, // it would reach the console
		"[fe80::1%\x1b[31m]:3260":    {},
		"all is well\r:3260":         {},
	} {
		got, err := parseTargetAddress(in)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != Portal{}) {
			t.Errorf("parseTargetAddress(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

func FuzzParseTargetAddress(f *testing.F) {
	f.Add("[2001:db8::1]:3261,2")
	f.Add("disk:1")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseTargetAddress(s)
		if err == nil && (p.Host == "" || p.Port == 0) {
			t.Errorf("parseTargetAddress(%q) = %v", s, p)
		}
	})
}

func TestRemoteIsPlain(t *testing.T) {
	// A dual-stack socket may say ::ffff:127.0.0.1; the kernel and iscsid want
	// the IPv4 address.
	portal := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	c, err := dial(t.Context(), Portal{"::ffff:127.0.0.1", portal.Port}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if want := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), portal.Port); c.remote() != want {
		t.Errorf("%v, want %v", c.remote(), want)
	}
}
