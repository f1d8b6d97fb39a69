package rootfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answer makes the reply to a call: accepted, no verifier, and what follows.
func answer(xid uint32, status uint32, results ...uint32) []byte {
	var b []byte
	for _, v := range append([]uint32{xid, rpcReply, 0, 0, 0, status}, results...) {
		b = appendUint32(b, v)
	}
	return b
}

var null = procedure{programNFS, 3, 0, "NFS NULL"}

// The call as RFC 5531 section 9 lays it out.
func TestAppendCall(t *testing.T) {
	got := appendCall(0x11223344, procedure{programMount, 3, 1, ""}, appendOpaque(nil, "/srv/a"))
	want := "11223344 00000000 00000002 000186a5 00000003 00000001" + // xid, CALL, version, program, version, procedure
		"00000001 0000001c 00000000 00000006 6e6f6469 736b0000 00000000 00000000 00000000" + // AUTH_SYS
		"00000000 00000000" + // AUTH_NONE
		"00000006 2f737276 2f610000"
	if diff := cmp.Diff(strings.ReplaceAll(want, " ", ""), hexString(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func hexString(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestParseReply(t *testing.T) {
	for name, tt := range map[string]struct {
		msg  []byte
		ok   bool
		want string
	}{
		"accepted":       {answer(7, 0, 42), true, ""},
		"another xid":    {answer(8, 0), false, ""},
		"a call":         {[]byte{0, 0, 0, 7, 0, 0, 0, 0}, false, ""},
		"short":          {[]byte{0, 0, 0}, false, ""},
		"cut":            {answer(7, 0)[:20], true, "cut short"},
		"unavailable":    {answer(7, 1), true, "does not offer this service"},
		"mismatch":       {answer(7, 2, 4, 4), true, "offers versions 4 to 4, not 3"},
		"procedure":      {answer(7, 3), true, "does not know the procedure"},
		"garbage":        {answer(7, 4), true, "could not read"},
		"system":         {answer(7, 5), true, "accept_stat 5"},
		"denied":         {[]byte{0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5}, true, "auth_stat 5"},
		"rpc version":    {[]byte{0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}, true, "another version of RPC"},
		"long verifier":  {append(answer(7, 0)[:16], 0, 0, 4, 0), true, "longer string"},
		"verifier is no": {append(answer(7, 0)[:16], 0, 0, 0, 8), true, "cut short"},
	} {
		results, ok, err := parseReply(tt.msg, 7, null)
		if ok != tt.ok || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %x, %v, %v", name, results, ok, err)
		}
	}
}

func TestReadRecord(t *testing.T) {
	two := append([]byte{0, 0, 0, 2, 'a', 'b'}, record([]byte("cd"))...)
	if got, err := readRecord(bytes.NewReader(two)); err != nil || string(got) != "abcd" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := readRecord(bytes.NewReader(appendUint32(nil, maxReply+1|1<<31))); err == nil {
		t.Error("an answer of more than the bound is read")
	}
	if _, err := readRecord(bytes.NewReader(two[:8])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut record: %v", err)
	}
	if _, err := readRecord(bytes.NewReader(make([]byte, 4096))); err == nil {
		t.Error("endless empty fragments are read")
	}
}

// serveTCP answers one call on a loopback port.
func serveTCP(t *testing.T, reply func(call []byte) []byte) netip.AddrPort {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		msg, err := readRecord(conn)
		if err != nil {
			return
		}
		_, _ = conn.Write(reply(msg))
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestCallTCP(t *testing.T) {
	to := serveTCP(t, func(call []byte) []byte {
		xid := binary.BigEndian.Uint32(call)
		return append(record(answer(xid+1, 0)), record(answer(xid, 0, 42))...)
	})
	got, err := call(t.Context(), "tcp", to, true, null, nil)
	if err != nil || !bytes.Equal(got, []byte{0, 0, 0, 42}) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestCallSaysWhatFailed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	silent := serveTCP(t, func([]byte) []byte { <-t.Context().Done(); return nil })
	closing := serveTCP(t, func([]byte) []byte { return nil })
	refusing := serveTCP(t, func(call []byte) []byte {
		return record(answer(binary.BigEndian.Uint32(call), 2, 4, 4))
	})
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	for _, tt := range []struct {
		to   netip.AddrPort
		want string
	}{
		{nobody, "no NFS server on " + nobody.String() + " (tcp): check that nfsd runs"},
		{closing, "the NFS server on " + closing.String() + " closed the connection without an answer"},
		{refusing, refusing.String() + ": NFS NULL: the server offers versions 4 to 4, not 3"},
		{silent, "no answer from the NFS server on " + silent.String()},
	} {
		if _, err := call(ctx, "tcp", tt.to, false, null, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// The first question is lost: UDP asks again, with the same xid.
func TestCallUDP(t *testing.T) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []uint32, 1)
	go func() {
		var xids []uint32
		buf := make([]byte, 1024)
		for len(xids) < 2 {
			n, from, err := pc.ReadFrom(buf)
			if err != nil || n < 4 {
				break
			}
			xids = append(xids, binary.BigEndian.Uint32(buf))
			if len(xids) == 2 {
				_, _ = pc.WriteTo(answer(xids[1], 0, 42), from)
			}
		}
		done <- xids
	}()
	got, err := call(t.Context(), "udp", pc.LocalAddr().(*net.UDPAddr).AddrPort(), false, null, nil)
	if err != nil || !bytes.Equal(got, []byte{0, 0, 0, 42}) {
		t.Errorf("%x, %v", got, err)
	}
	_ = pc.Close()
	if xids := <-done; len(xids) != 2 || xids[0] != xids[1] {
		t.Errorf("xids %x", xids)
	}
}

func TestCallUDPEndsWithContext(t *testing.T) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = call(ctx, "udp", pc.LocalAddr().(*net.UDPAddr).AddrPort(), false, null, nil)
	if err == nil || !strings.Contains(err.Error(), "no answer from the NFS server") {
		t.Errorf("%v", err)
	}
}
