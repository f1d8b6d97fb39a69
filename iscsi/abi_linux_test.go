package iscsi

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// The golden bytes are those of a little-endian machine, which is what the
// kernels were that took them.
func needsLittleEndian(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		testenv.Missing(t, "a little-endian machine, as the one the golden bytes are from")
	}
}

func TestRequestBytes(t *testing.T) {
	needsLittleEndian(t)
	var b strings.Builder
	for _, r := range []struct {
		name string
		request
	}{
		{"create session: CmdSN 1, 128 commands, 32 per unit", createSession(1, 128, 32)},
		{"create connection 0 of session 7", createConn(7, 0)},
		{"bind descriptor 9", bindConn(7, 0, 9)},
		{"set MaxRecvDataSegmentLength", setParam(7, 0, paramValue{paramMaxRecv, "262144"})},
		{"start", startConn(7, 0)},
		{"stop for good", stopConn(7, 0, stopTerminate)},
		{"destroy connection", destroyConn(7, 0)},
		{"destroy session", destroySession(7)},
	} {
		message := r.append(nil, 0xffffffffc0ffee00)
		if n := binary.NativeEndian.Uint32(message); int(n) != len(message) {
			t.Errorf("%s: nlmsg_len %d, %d bytes", r.name, n, len(message))
		}
		fmt.Fprintf(&b, "%s\n%s\n", r.name, hex.Dump(message))
	}
	golden(t, "netlink-requests", b.String())
}

func TestSessionParams(t *testing.T) {
	n, err := login(t.Context(),
		&fakeTarget{script: []reply{{text: "HeaderDigest=CRC32C MaxRecvDataSegmentLength=65536 " +
			"TargetPortalGroupTag=1"}}}, testParams())
	if err != nil {
		t.Fatal(err)
	}
	c := &Connection{
		Target:  Target{Name: "iqn.2026-01.test:a"},
		options: Options{InitiatorName: "iqn.2026-01.test:node1", PingInterval: 1500 * time.Millisecond}.withDefaults(),
		agreed:  n,
		lasting: netip.MustParseAddrPort("[2001:db8::1]:3260"),
	}
	var b strings.Builder
	for _, p := range sessionParams(c) {
		fmt.Fprintf(&b, "%d %s\n", p.param, p.value)
	}
	golden(t, "session-params", b.String())
}

// message builds what the kernel sends: header, event type, iferror, r.
func message(nlType uint16, typ eventType, iferror int32, payload string, r ...uint32) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, uint32(nlHeaderSize+ueventSize+len(payload)))
	b = ne.AppendUint16(b, nlType)
	b = append(b, make([]byte, 10)...)
	b = ne.AppendUint32(b, uint32(typ))
	b = ne.AppendUint32(b, uint32(iferror))
	b = append(b, make([]byte, rOffset-8)...)
	for _, v := range r {
		b = ne.AppendUint32(b, v)
	}
	b = append(b, make([]byte, nlHeaderSize+ueventSize-len(b))...)
	return append(b, payload...)
}

func TestParseEvent(t *testing.T) {
	// A multicast has netlink type 0.
	e, err := parseEvent(message(0, eventConnError, 0, "", 3, 1, 1020))
	if err != nil || e.typ != eventConnError || e.r != [4]uint32{3, 1, 1020, 0} {
		t.Errorf("%+v, %v", e, err)
	}
	for name, tt := range map[string]struct {
		event []byte
		asked eventType
		want  string
	}{
		"created": {message(11, eventCreateSession, 0, "", 5, 2), eventCreateSession, ""},
		"started": {message(17, eventStartConn, 0, ""), eventStartConn, ""},
		"interface error": {message(11, eventIfError, -int32(unix.ENOMEM), ""), eventCreateConn,
			"cannot allocate memory"},
		"positive error": {message(11, eventIfError, int32(unix.ENOSYS), ""), eventSetParam,
			"function not implemented"},
		"error without one": {message(11, eventIfError, 0, ""), eventSetParam, "without a reason"},
		"return code": {message(15, eventBindConn, 0, "", 0xffffffff-uint32(unix.ENOTCONN)+1), eventBindConn,
			"transport endpoint is not connected"},
		"other reply": {message(11, eventCreateSession, 0, "", 5, 2), eventStartConn,
			"kernel answers with create session"},
	} {
		e, err := parseEvent(tt.event)
		if err != nil {
			t.Fatal(err)
		}
		err = e.result(tt.asked)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	long := message(0, eventConnError, 0, "")
	binary.NativeEndian.PutUint32(long, 4096)
	short := message(0, eventConnError, 0, "")
	binary.NativeEndian.PutUint32(short, 60)
	for name, b := range map[string][]byte{"empty": nil, "truncated": long[:71], "says too long": long,
		"says too short": short} {
		if e, err := parseEvent(b); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestDispatch(t *testing.T) {
	k := &kernel{replies: make(chan event, 1), lost: make(chan lostConn, 1)}
	for _, b := range [][]byte{
		message(0, 106, 0, "", 1), // a session was created: not a reply
		message(0, eventConnError, 0, "", 1, 0, 1022),
		message(0, eventConnError, 0, "", 2, 0, 1020), // no room: must not block
		message(11, eventCreateSession, 0, "", 1, 2),
	} {
		e, err := parseEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		k.dispatch(e)
	}
	if r := <-k.replies; r.typ != eventCreateSession || r.r[1] != 2 {
		t.Errorf("reply: %+v", r)
	}
	if l := <-k.lost; l.sid != 1 || l.err.Error() != "iSCSI connection lost (1022, no answer to a NOP-Out)" {
		t.Errorf("lost: %+v", l)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(message(0, eventConnError, 0, "", 3, 1, 1020), uint32(11))
	f.Add(message(11, eventIfError, -12, "", 0), uint32(13))
	f.Add(message(0, 101, 0, "a PDU", 1, 0), uint32(19))
	f.Fuzz(func(t *testing.T, b []byte, asked uint32) {
		e, err := parseEvent(b)
		if err != nil {
			return
		}
		if len(e.payload)+nlHeaderSize+ueventSize > len(b) {
			t.Errorf("%d bytes of payload from a datagram of %d", len(e.payload), len(b))
		}
		k := &kernel{replies: make(chan event, 1), lost: make(chan lostConn, 1)}
		k.dispatch(e)
		_ = e.result(eventType(asked))
		_ = e.typ.String()
	})
}
