package iscsi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// captured reads a packet of testdata: hexadecimal with # comments.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadCapturedResponse(t *testing.T) {
	b := captured(t, "login-response-tgtd.hex")
	rest := bytes.NewReader(append(bytes.Clone(b), "the kernel's"...))
	p, err := readPDU(rest)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := io.ReadAll(rest); string(left) != "the kernel's" {
		t.Errorf("left in the stream: %q", left)
	}
	if got := p.append(nil); !bytes.Equal(got, b) {
		t.Errorf("written back:\n%s\nwant\n%s", hex.Dump(got), hex.Dump(b))
	}
	r, err := parseLoginResponse(p)
	if err != nil {
		t.Fatal(err)
	}
	r.text = nil
	want := loginResponse{
		transit: true, current: stageOperational, next: stageFull,
		isid: DeriveISID("iqn.2026-01.test:node1", Portal{"127.0.0.2", 43261}), tsih: 256,
		statSN: 0, expCmdSN: 1, maxCmdSN: 2,
	}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(loginResponse{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoginRequestBytes(t *testing.T) {
	want := captured(t, "login-request.hex")
	got := loginRequest{
		transit: true, current: stageOperational, next: stageFull,
		isid: ISID{0, 2, 0x3d, 1, 2, 3}, tsih: 0x1122, itt: 0x33445566, cid: 0x7788, cmdSN: 1, expStatSN: 0x99aabbcc,
		text: appendText(nil, []textKey{{"InitiatorName", "iqn.a"}, {"X", ""}}),
	}.pdu().append(nil)
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
	}
}

func TestReadPDUErrors(t *testing.T) {
	long := make([]byte, bhsSize)
	long[5] = 0xff
	withAHS := make([]byte, bhsSize)
	withAHS[4], withAHS[7] = 1, 2
	for name, tt := range map[string]struct {
		in   []byte
		want string
		is   error
	}{
		"nothing":     {nil, "EOF", io.EOF},
		"half header": {make([]byte, 20), "unexpected EOF", io.ErrUnexpectedEOF},
		"no data":     {withAHS, "unexpected EOF", io.ErrUnexpectedEOF},
		"too long":    {long, "announces 16711680 bytes", nil},
	} {
		_, err := readPDU(bytes.NewReader(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	p, err := readPDU(bytes.NewReader(append(withAHS, "AHS.hi\x00\x00"...)))
	if err != nil || string(p.data) != "hi" {
		t.Errorf("additional header is not skipped: %v, %v", p, err)
	}
}

func FuzzReadPDU(f *testing.F) {
	f.Add(captured(f, "login-response-tgtd.hex"))
	f.Add(captured(f, "login-request.hex"))
	f.Add(append([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := readPDU(r)
		if err != nil {
			return
		}
		used := b[:len(b)-r.Len()]
		again, err := readPDU(bytes.NewReader(p.append(nil)))
		if err != nil || !bytes.Equal(again.data, p.data) || len(used)%4 != 0 {
			t.Errorf("%x reads as %x, then %v", used, p.data, err)
		}
		if resp, err := parseLoginResponse(p); err == nil && resp.transit && resp.more {
			t.Errorf("T and C: %+v", resp)
		}
	})
}

func TestParseText(t *testing.T) {
	got, err := parseText([]byte("A=1\x00\x00B=\x00X-org.example.k=a=b\x00\x00\x00last=no NUL"))
	if err != nil {
		t.Fatal(err)
	}
	want := []textKey{{"A", "1"}, {"B", ""}, {"X-org.example.k", "a=b"}, {"last", "no NUL"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(textKey{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for in, want := range map[string]string{
		"novalue":                        "not key=value",
		"=x":                             "not a key",
		"a b=x":                          "not a key",
		strings.Repeat("k", 64) + "=x":   "not a key",
		strings.Repeat("a=1\x00", 257):   "more than 256",
		strings.Repeat("\xff", 80) + "=": "not a key",
	} {
		if got, err := parseText([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseText(%q) = %v, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzParseText(f *testing.F) {
	f.Add([]byte("HeaderDigest=None\x00MaxBurstLength=0x40000\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseText(b)
		if err != nil {
			return
		}
		again, err := parseText(appendText(nil, keys))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keys, again, cmp.AllowUnexported(textKey{})); diff != "" {
			t.Errorf("%q (-first +second):\n%s", b, diff)
		}
	})
}
