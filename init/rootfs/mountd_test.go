package rootfs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func exportsXDR(exports []export) []byte {
	var b []byte
	for _, e := range exports {
		b = appendOpaque(appendUint32(b, 1), e.path)
		for _, g := range e.groups {
			b = appendOpaque(appendUint32(b, 1), g)
		}
		b = appendUint32(b, 0)
	}
	return appendUint32(b, 0)
}

func TestParseExports(t *testing.T) {
	want := []export{{path: "/srv/root", groups: []string{"10.0.0.0/8", "@nodes"}}, {path: "/home"}}
	got, err := parseExports(exportsXDR(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(export{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := offer(got, ""); s != "it exports /srv/root (10.0.0.0/8, @nodes), /home" {
		t.Error(s)
	}
	if s := offer(nil, ""); s != "it exports nothing" {
		t.Error(s)
	}
	got, err = parseExports(exportsXDR([]export{{path: "/a\x1b[2J"}}))
	if err != nil || got[0].path != "/a?[2J" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := parseExports(exportsXDR(want)[:20]); err == nil {
		t.Error("a list cut short is accepted")
	}
	if _, err := parseExports(exportsXDR([]export{{path: strings.Repeat("a", maxPath+1)}})); err == nil {
		t.Error("a path of more than MNTPATHLEN is accepted")
	}
}

// A cluster's export list has thousands of clients. The line has some hundred
// bytes, and the export that was asked for, or is above it, comes first.
func TestOfferIsBrief(t *testing.T) {
	var many []export
	for i := range 12 {
		e := export{path: fmt.Sprint("/srv/export", i)}
		for j := range 400 {
			e.groups = append(e.groups, fmt.Sprintf("node%04d.cluster.example.org", j))
		}
		many = append(many, e)
	}
	many = append(many, export{path: "/", groups: []string{"10.0.0.0/8"}}, export{path: "/srv/root", groups: []string{"10.1.0.0/16"}},
		export{path: "/" + strings.Repeat("long", 250)})
	for path, want := range map[string]string{
		"/srv/root":     "it exports /srv/root (10.1.0.0/16), / (10.0.0.0/8), /srv/export0 (node0000.cluster.example.org, node0001.",
		"/srv/root/n7":  "it exports /srv/root (10.1.0.0/16), / (10.0.0.0/8), /srv/export0 (",
		"/srv/rootless": "it exports / (10.0.0.0/8), /srv/export0 (",
		"/srv/export11": "it exports /srv/export11 (node0000.cluster.example.org, node0001.cluster.example.org, node0002.cluster.example.org, node0003.cluster.example.org, and 396 more), / (",
	} {
		got := offer(many, path)
		if len(got) > maxList+50 || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " more") {
			t.Errorf("%s: %d bytes: %s\nwant %s...", path, len(got), got, want)
		}
	}
}

func TestEnumerate(t *testing.T) {
	for want, words := range map[string][]string{
		"":                     nil,
		"one, two, three":      {"one", "two", "three"},
		"one, two, and 2 more": {"one", "two", "eleventwelve", "x"},
		"a text of mor...":     {"a text of more than sixteen"},
		"größer als ...":       {"größer als sechzehn"},
	} {
		if got := enumerate(words, 16); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
	for limit := range 12 {
		if got := clip("größe über alles", limit); !utf8.ValidString(got) || len(got) > max(limit, 3) {
			t.Errorf("%d: %q", limit, got)
		}
	}
}

func TestParseMount(t *testing.T) {
	granted := appendOpaque(appendUint32(nil, 0), "handle")
	for _, v := range []uint32{2, authSys, 390003} {
		granted = appendUint32(granted, v)
	}
	status, flavours, err := parseMount(granted)
	if err != nil || status != mountOK || !cmp.Equal(flavours, []uint32{authSys, 390003}) {
		t.Errorf("%s, %v, %v", status, flavours, err)
	}
	status, _, err = parseMount(appendUint32(nil, 13))
	if err != nil || status != mountAccess {
		t.Errorf("%s, %v", status, err)
	}
	for _, bad := range [][]byte{nil, granted[:6], granted[:18], appendOpaque(appendUint32(nil, 0), strings.Repeat("h", maxHandle+1))} {
		if status, _, err := parseMount(bad); err == nil {
			t.Errorf("%x: %s, want an error", bad, status)
		}
	}
}

func TestParsePorts(t *testing.T) {
	if p, err := parseGetPort([]byte{0, 0, 8, 1}); p != 2049 || err != nil {
		t.Error(p, err)
	}
	for _, bad := range [][]byte{nil, {0, 1, 0, 0}} {
		if p, err := parseGetPort(bad); err == nil {
			t.Errorf("%x: %d, want an error", bad, p)
		}
	}
	for text, want := range map[string]uint16{"::.8.1": 2049, "fe80::1%eth0.0.111": 111, "10.0.0.1.8.1": 2049, "": 0} {
		if p, err := parseGetAddr(appendOpaque(nil, text)); p != want || err != nil {
			t.Errorf("%q: %d, %v", text, p, err)
		}
	}
	for _, bad := range []string{"x", "8.1", "::.256.1", "::.-1.1", "::.a.b"} {
		if p, err := parseGetAddr(appendOpaque(nil, bad)); err == nil {
			t.Errorf("%q: %d, want an error", bad, p)
		}
	}
}

func FuzzRPC(f *testing.F) {
	f.Add(answer(7, 0, 0, 0, 8, 1))
	f.Add(append(answer(7, 0), exportsXDR([]export{{path: "/a", groups: []string{"b"}}})...))
	f.Add(append(answer(7, 0), appendOpaque(nil, "::.8.1")...))
	f.Add(append(answer(7, 0), appendOpaque(appendUint32(nil, 0), "handle")...))
	f.Add(answer(7, 2, 3, 4))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := readRecord(bytes.NewReader(record(msg)))
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("record of %x reads as %x, %v", msg, got, err)
		}
		_, _ = readRecord(bytes.NewReader(msg))
		results, ok, err := parseReply(msg, 7, null)
		if !ok || err != nil {
			return
		}
		_, _ = parseGetPort(results)
		_, _ = parseGetAddr(results)
		_, _, _ = parseMount(results)
		exports, _ := parseExports(results)
		for _, e := range exports {
			if strings.ContainsAny(e.String(), "\x00\x1b\n") {
				t.Errorf("%q", e)
			}
		}
		if line := offer(exports, "/a/b"); len(line) > maxList+50 {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	})
}
