package iscsi

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A fakeTarget answers login requests from a script, one response per request,
// and writes down what was said.
type fakeTarget struct {
	script   []reply
	forever  bool // the last reply repeats
	requests int
	said     strings.Builder
	last     loginRequest
}

// A reply is what the target says; fields left out are those of an ordinary
// answer to the request.
type reply struct {
	stay, more    bool // no T bit; C bit
	class, detail byte
	text          string // pairs separated by spaces, or raw when it begins with =
	edit          func(p *pdu)
	fail          error
}

var _ pduConn = &fakeTarget{}

func parseLoginRequest(p *pdu) loginRequest {
	h := p.bhs[:]
	return loginRequest{
		transit: h[1]&0x80 != 0, more: h[1]&0x40 != 0,
		current: stage(h[1] >> 2 & 3), next: stage(h[1] & 3),
		isid: ISID(h[8:14]), tsih: binary.BigEndian.Uint16(h[14:]), itt: binary.BigEndian.Uint32(h[16:]),
		cid: binary.BigEndian.Uint16(h[20:]), cmdSN: binary.BigEndian.Uint32(h[24:]),
		expStatSN: binary.BigEndian.Uint32(h[28:]),
		text:      p.data,
	}
}

func (f *fakeTarget) Send(_ context.Context, p *pdu) error {
	r := parseLoginRequest(p)
	f.last = r
	f.requests++
	fmt.Fprintf(&f.said, "--> %v", r.current)
	if r.transit {
		fmt.Fprintf(&f.said, " to %v", r.next)
	}
	fmt.Fprintf(&f.said, ", CmdSN %d, ExpStatSN %d\n", r.cmdSN, r.expStatSN)
	f.say(r.text)
	return nil
}

func (f *fakeTarget) say(text []byte) {
	for pair := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x00"), "\x00") {
		if pair != "" {
			fmt.Fprintf(&f.said, "    %s\n", pair)
		}
	}
}

func (f *fakeTarget) Recv(context.Context) (*pdu, error) {
	i := f.requests - 1
	if f.forever {
		i = min(i, len(f.script)-1)
	}
	if i >= len(f.script) {
		return nil, errors.New("script is over")
	}
	r := f.script[i]
	if r.fail != nil {
		return nil, r.fail
	}
	p := r.pdu(f.last, uint32(100+i))
	got, err := parseLoginResponse(p)
	if err == nil {
		fmt.Fprintf(&f.said, "<-- status %02x%02x", got.statusClass, got.statusOf)
		if got.transit {
			fmt.Fprintf(&f.said, ", to %v", got.next)
		}
		if got.more {
			fmt.Fprint(&f.said, ", more to come")
		}
		fmt.Fprintln(&f.said)
		f.say(got.text)
	}
	return p, nil
}

func (r reply) pdu(to loginRequest, statSN uint32) *pdu {
	p := &pdu{}
	h := p.bhs[:]
	h[0] = opLoginResponse
	h[1] = byte(to.current) << 2
	if to.transit && !r.stay && !r.more {
		h[1] |= 0x80 | byte(to.next)
	}
	if r.more {
		h[1] |= 0x40
	}
	copy(h[8:14], to.isid[:])
	h[15] = 7 // TSIH
	binary.BigEndian.PutUint32(h[16:], to.itt)
	binary.BigEndian.PutUint32(h[24:], statSN)
	binary.BigEndian.PutUint32(h[28:], to.cmdSN)
	binary.BigEndian.PutUint32(h[32:], to.cmdSN+31)
	h[36], h[37] = r.class, r.detail
	if raw, ok := strings.CutPrefix(r.text, "="); ok {
		p.data = []byte(raw)
	} else if r.text != "" {
		p.data = []byte(strings.ReplaceAll(r.text, " ", "\x00") + "\x00")
	}
	if r.edit != nil {
		r.edit(p)
	}
	return p
}

func testParams() loginParams {
	return loginParams{
		target: "iqn.2026-01.test:a", initiator: "iqn.2026-01.test:node1", portal: "10.0.0.1:3260",
		isid: ISID{0, 2, 0x3d, 0, 0, 1}, cmdSN: 1,
	}
}

func TestLoginTranscripts(t *testing.T) {
	for name, tt := range map[string]struct {
		script []reply
		params func(*loginParams)
	}{
		"tgtd": {script: []reply{{text: "TargetPortalGroupTag=1 HeaderDigest=None " +
			"DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 IFMarker=No OFMarker=No ErrorRecoveryLevel=0 " +
			"InitialR2T=Yes ImmediateData=Yes MaxBurstLength=262144 FirstBurstLength=65536 MaxOutstandingR2T=1 " +
			"MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes"}}},
		"lio": {script: []reply{{text: "TargetPortalGroupTag=2 TargetAlias=LIO " +
			"HeaderDigest=None DataDigest=None MaxRecvDataSegmentLength=262144 DefaultTime2Wait=2 " +
			"DefaultTime2Retain=0 ErrorRecoveryLevel=0 IFMarker=Reject OFMarker=Reject InitialR2T=No " +
			"ImmediateData=Yes MaxBurstLength=262144 FirstBurstLength=65536 MaxOutstandingR2T=1 MaxConnections=1"}}},
		"silent target takes the defaults": {script: []reply{{}}},
		"every key at its other value": {script: []reply{{
			text: "HeaderDigest=CRC32C DataDigest=CRC32C MaxRecvDataSegmentLength=0x1000 DefaultTime2Wait=20 " +
				"DefaultTime2Retain=0 ErrorRecoveryLevel=0 InitialR2T=Yes ImmediateData=No MaxBurstLength=4096 " +
				"FirstBurstLength=16777215 MaxOutstandingR2T=1 MaxConnections=1 DataPDUInOrder=Yes " +
				"DataSequenceInOrder=Yes TargetPortalGroupTag=65535",
		}}},
		"numbers beyond the offer": {script: []reply{{text: "MaxBurstLength=16777215 DefaultTime2Retain=60 " +
			"DefaultTime2Wait=0 MaxOutstandingR2T=8 ErrorRecoveryLevel=2"}}},
		"answer over several PDUs": {script: []reply{
			{more: true, text: "=HeaderDigest=CRC32C\x00MaxRecvDataSeg"},
			{more: true, text: "=mentLength=655"},
			{stay: true, text: "=36\x00InitialR2T=No\x00"},
			{},
		}},
		"target has questions": {script: []reply{
			{stay: true, text: "X-org.example.speed=fast TaskReporting=FastAbort TargetAlias=store"},
			{text: "InitialR2T=No"},
		}},
		"refused keys keep their default": {script: []reply{{text: "InitialR2T=Reject MaxBurstLength=Irrelevant " +
			"HeaderDigest=NotUnderstood DataDigest=Reject"}}},
		"digests preferred": {
			script: []reply{{text: "HeaderDigest=CRC32C DataDigest=None"}},
			params: func(p *loginParams) { p.header, p.data = DigestPrefer, DigestPrefer },
		},
		"no TSIH": {script: []reply{{edit: func(p *pdu) { p.bhs[15] = 0 }}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := testParams()
			if tt.params != nil {
				tt.params(&p)
			}
			f := &fakeTarget{script: tt.script}
			n, err := login(t.Context(), f, p)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("login", strings.ReplaceAll(name, " ", "-")),
				fmt.Sprintf("%s==> %+v\n", &f.said, n))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestLoginErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		target fakeTarget
		params func(*loginParams)
		want   string
	}{
		"never ends": {target: fakeTarget{script: []reply{{stay: true}}, forever: true},
			want: "did not come to an end in 16 rounds"},
		"never ends its text": {target: fakeTarget{script: []reply{{more: true, text: "=a"}}, forever: true},
			want: "did not come to an end in 16 rounds"},
		"floods": {target: fakeTarget{script: []reply{{more: true,
			text: "=" + strings.Repeat("x", 60000)}}, forever: true}, want: "more than 65536 bytes"},
		"other task": {target: fakeTarget{script: []reply{{edit: func(p *pdu) { p.bhs[19] = 9 }}}},
			want: "task 0x9"},
		"other stage": {target: fakeTarget{script: []reply{{edit: func(p *pdu) { p.bhs[1] = 0x80 | 3 }}}},
			want: "in the security stage, not the operational stage"},
		"other next stage": {target: fakeTarget{script: []reply{{edit: func(p *pdu) {
			p.bhs[1] = 0x80 | 1<<2 | 1
		}}}}, want: "goes on to the operational stage, full feature"},
		"transit unasked": {target: fakeTarget{script: []reply{{more: true}, {edit: func(p *pdu) {
			p.bhs[1] |= 0x83
		}}}}, want: "leaves the login stage unasked"},
		"transit and more": {target: fakeTarget{script: []reply{{edit: func(p *pdu) { p.bhs[1] |= 0x40 }}}},
			want: "both the T and the C bit"},
		"reject": {target: fakeTarget{script: []reply{{edit: func(p *pdu) {
			p.bhs[0], p.bhs[2] = opReject, 4
		}}}}, want: "reason 0x04"},
		"not iSCSI": {target: fakeTarget{script: []reply{{edit: func(p *pdu) {
			copy(p.bhs[:], "SSH-2.0-OpenSSH")
		}}}}, want: `begins with "SSH-2.0-": that port does not speak iSCSI`},
		"unreadable text": {target: fakeTarget{script: []reply{{text: "=garbage"}}},
			want: `read login response: text "garbage"`},
		"bad number": {target: fakeTarget{script: []reply{{text: "MaxBurstLength=many"}}},
			want: `negotiate MaxBurstLength: "many" is not a number`},
		"number out of range": {target: fakeTarget{script: []reply{{text: "MaxBurstLength=0x10"}}},
			want: "16 is not within 512 and 16777215"},
		"bad switch": {target: fakeTarget{script: []reply{{text: "InitialR2T=yes"}}},
			want: `negotiate InitialR2T: "yes" is neither Yes nor No`},
		"digest not offered": {target: fakeTarget{script: []reply{{text: "HeaderDigest=MD5"}}},
			want: `"MD5" was not among what was offered (None,CRC32C)`},
		"two answers": {target: fakeTarget{script: []reply{{text: "InitialR2T=No InitialR2T=Yes"}}},
			want: "answered InitialR2T twice"},
		"broken connection": {target: fakeTarget{script: []reply{{fail: errors.New("broken")}}},
			want: "receive login response: broken"},
		"oversized login text": {params: func(p *loginParams) { p.initiator = strings.Repeat("x", maxText) },
			want: "a target takes 8192"},
		"digest refused": {
			target: fakeTarget{script: []reply{{text: "HeaderDigest=Reject"}}},
			params: func(p *loginParams) { p.header = DigestRequired },
			want:   "negotiate HeaderDigest: target says Reject to CRC32C, which is required",
		},
		"digest missing": {
			target: fakeTarget{script: []reply{{text: "HeaderDigest=None"}}},
			params: func(p *loginParams) { p.header = DigestRequired },
			want:   `"None" was not among what was offered (CRC32C)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testParams()
			if tt.params != nil {
				tt.params(&p)
			}
			n, err := login(t.Context(), &tt.target, p)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v; want %q", n, err, tt.want)
			}
		})
	}
}

// Every status must say something of its own; the golden file is there to be
// read.
func TestStatusErrors(t *testing.T) {
	var b strings.Builder
	for _, s := range [][2]byte{
		{1, 1},
		{1, 2},
		{2, 0},
		{2, 1},
		{2, 2},
		{2, 3},
		{2, 4},
		{2, 5},
		{2, 6},
		{2, 7},
		{2, 8},
		{2, 9},
		{2, 10},
		{2, 11},
		{2, 99},
		{3, 0},
		{3, 1},
		{3, 2},
		{3, 99},
		{9, 9},
	} {
		f := &fakeTarget{script: []reply{{class: s[0], detail: s[1], text: "TargetAddress=10.0.0.2:3260,1"}}}
		_, err := login(t.Context(), f, testParams())
		status, ok := errors.AsType[*StatusError](err)
		if !ok || status.Class != s[0] || status.Detail != s[1] || status.Temporary() != (s[0] == 3) ||
			status.Moved() != (s[0] == 1) {
			t.Errorf("status %02x%02x: %v", s[0], s[1], err)
		}
		fmt.Fprintf(&b, "%v\n", err)
	}
	golden(t, "status", b.String())
}

func TestStatusSurvivesBadText(t *testing.T) {
	f := &fakeTarget{script: []reply{{class: 2, detail: 3, text: "=\xff"}}}
	_, err := login(t.Context(), f, testParams())
	if _, ok := errors.AsType[*StatusError](err); !ok {
		t.Errorf("the status is lost: %v", err)
	}
}

// Whatever a target answers, the login ends, and what it agrees to can be
// given to the kernel.
func FuzzLogin(f *testing.F) {
	f.Add(byte(0x87), byte(0), byte(0), []byte("MaxBurstLength=512\x00FirstBurstLength=65536\x00"), true)
	f.Add(byte(0x44), byte(0), byte(0), []byte("a="), false)
	f.Add(byte(0x87), byte(1), byte(1), []byte("TargetAddress=[::1]:1,1\x00"), false)
	f.Add(byte(0x04), byte(0), byte(0), []byte("X-a=b\x00X-c=d\x00"), true)
	f.Fuzz(func(t *testing.T, flags, class, detail byte, text []byte, again bool) {
		script := []reply{{edit: func(p *pdu) {
			p.bhs[1], p.bhs[36], p.bhs[37], p.data = flags, class, detail, text
		}}}
		if again {
			script = append(script, reply{})
		}
		n, err := login(t.Context(), &fakeTarget{script: script, forever: true}, testParams())
		if err != nil {
			return
		}
		if n.firstBurst > n.maxBurst || n.maxBurst < 512 || n.maxXmit < 512 || n.maxR2T == 0 || n.erl != 0 ||
			n.ifMarker || n.ofMarker {
			t.Errorf("%+v", n)
		}
	})
}
