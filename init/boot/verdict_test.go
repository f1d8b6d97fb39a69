package boot

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/init/plan"
)

func encode(t *testing.T, m message) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessage(t *testing.T) {
	var all []byte
	var want []message
	for _, v := range []plan.Verdict{
		{Action: plan.ActionSwitch, Root: "/sysroot", Argv: []string{"/sbin/init", "single", ""}},
		{Action: plan.ActionStay, Argv: []string{"/sbin/init"}},
		{Action: plan.ActionChain, Root: "/init.vendor", Argv: []string{"/init", "single"}},
		{Action: plan.ActionAgain},
		{Action: plan.ActionReboot, Wait: time.Minute},
		{Action: plan.ActionPoweroff},
		{Action: plan.ActionHalt},
		{Action: plan.ActionShell},
		{Action: plan.ActionShell, Argv: []string{"gave up after 15 s: network: no carrier on eth0"}},
	} {
		m := message{Kind: messageVerdict, Verdict: v}
		want = append(want, m)
		all = append(all, encode(t, m)...)
	}
	for _, m := range []message{
		{Kind: messageAlive, Verdict: plan.Verdict{Action: plan.ActionAgain}},
		{Kind: messageAlive, Within: 1500 * time.Millisecond, Verdict: plan.Verdict{Action: plan.ActionPoweroff}},
		{Kind: messageDone},
	} {
		want = append(want, m)
		all = append(all, encode(t, m)...)
	}
	// They follow each other in a pipe that gives them byte by byte.
	r := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(all)))
	var got []message
	for {
		m, err := readMessage(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMessageThatIsNone(t *testing.T) {
	for _, bad := range []string{
		"6\x00verdict", "6\x00verdict\x000\x00switch\x000\x00/sysroot\x00/sbin/init", // cut
		"5\x00verdict\x000\x00switch\x000\x00/sysroot\x00",
		"6\x00verdict\x000\x00switch\x000\x00\x00/sbin/init\x00",
		"6\x00verdict\x000\x00stay\x000\x00\x00init\x00",
		"6\x00verdict\x000\x00chain\x000\x00\x00/init\x00", "5\x00verdict\x000\x00chain\x000\x00/init.vendor\x00",
		"5\x00verdict\x000\x00dance\x000\x00\x00", "5\x00verdict\x000\x00again\x00soon\x00\x00", "5\x00verdict\x00-1\x00again\x000\x00\x00",
		"5\x00dance\x000\x00again\x000\x00\x00", "2\x00done\x00\x00", "1\x00verdict\x00", "0\x00", "-1\x00", "65\x00", "\x00", "x\x00",
		strings.Repeat("1", 2*messageMost), "6\x00verdict\x000\x00shell\x000\x00\x00" + strings.Repeat("x", 2*messageMost) + "\x00",
	} {
		m, err := readMessage(bufio.NewReader(strings.NewReader(bad)))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("readMessage(%q) = %+v, %v, want an error", bad, m, err)
		}
	}
}

// A reason may be as long as a server makes it. Nothing else is clipped: half a path is another.
func TestMessageIsBounded(t *testing.T) {
	long := message{Kind: messageVerdict, Verdict: plan.Verdict{Action: plan.ActionShell, Argv: []string{strings.Repeat("é", 100_000)}}}
	b := encode(t, long)
	if len(b) > messageMost {
		t.Errorf("%d bytes", len(b))
	}
	m, err := readMessage(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	if why := m.Verdict.Argv[0]; !strings.HasSuffix(why, "éé ...") || len(why) < 3000 {
		t.Errorf("%d bytes, ends with %q", len(why), why[max(0, len(why)-10):])
	}
	for _, argv := range [][]string{{"/" + strings.Repeat("x", messageMost)}, strings.Split(strings.Repeat("/x ", messageWords), " ")} {
		if _, err := (message{Kind: messageVerdict, Verdict: plan.Verdict{Action: plan.ActionStay, Argv: argv}}).Encode(); err == nil {
			t.Error("an init was clipped")
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add([]byte("7\x00verdict\x000\x00switch\x000\x00/r\x00/i\x00\x00"))
	f.Add([]byte("5\x00alive\x001500\x00again\x000\x00\x00"))
	f.Add([]byte("1\x00done\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		text, err := m.Encode()
		if err != nil {
			t.Fatalf("%+v was read: %v", m, err)
		}
		again, err := readMessage(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		// The reason of a shell may have been clipped.
		if m.Verdict.Action == plan.ActionShell {
			m.Verdict.Argv, again.Verdict.Argv = nil, nil
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("round trip (-first +second):\n%s", diff)
		}
	})
}
