package integration

import (
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// networkProfiles is what the image of the tests on the rig holds.
const networkProfiles = "virt,bond,vlan,bridge,iscsi,nfs,ext4"

// Words of command lines, and of the server's wiring.
const (
	targetWords  = " netroot=iscsi:{server}::3260:1:{target} root=LABEL={label}"
	targetWords6 = " netroot=iscsi:[{server6}]::3260:1:{target} root=LABEL={label}"

	serveV4 = ` dhcp-sequential-ip dhcp-range=10.77.0.23,10.77.0.99,255.255.255.0,1h 'dhcp-option=17,"iscsi:{server}::3260:1:{target}"' dhcp-option=option:dns-server,{server}`

	flatSwitch = "switch br0 stp_state 0 forward_delay 0"
)

// byLease is /init's line about the address of a device.
func byLease(device string) string {
	return `nodisk: network \(3/\d\): .*` + regexp.QuoteMeta(device) + ` 10\.77\.0\.\d+/24 by DHCP from 10\.77\.0\.1`
}

// A rigCase is one boot on the rig and what is to be seen of it.
type rigCase struct {
	name   string
	boot   rig.Boot
	expect []string // on the console, in order
	root   []string // each matches a line of the root's /sbin/init
	never  []string // these match none
	fs     string   // type of /, default ext4
	// errors allows lines of errors on the console: something is wrong for a
	// while.
	errors bool
	// waits is a regular expression for the lines that say what is waited for:
	// there is one, and they come at most every ten seconds.
	waits string
	// long cases do little but wait.
	long bool
	more func(t *testing.T, res rig.Result)
}

// TestBootNetwork boots nodes on a rig.
func TestBootNetwork(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootNone, Static: true})
	for _, err := range rig.Missing() {
		testenv.Missing(t, err.Error())
	}
	kernel := kernelDir(t)
	image := buildImage(t, networkProfiles)
	give := takePlace(t, busy)
	rig, err := rig.New(t.Context(), sharedLab(t), rig.Spec{
		KernelDir: kernel, Cables: 12,
		Log: testLogFile("network-server"),
	})
	give()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(); err != nil {
			t.Error(err)
		}
	})
	cases := slices.Concat(hostileCases(), bondCases(), linkCases(), manyCases(), wordCases(), ipv6Cases(),
		dracutCases())
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := c.boot
			b.Name, b.Kernel, b.Image = c.name, filepath.Join(kernel, "vmlinuz"), image
			b.Root = cmp.Or(b.Root, lab.RootISCSI)
			b.Timeout = 2 * time.Minute
			w := busy
			if c.long {
				b.Timeout, w = 4*time.Minute, waits
			}
			b.Log = testLogFile("network-" + c.name)
			takePlace(t, w)
			res, err := rig.Boot(t.Context(), b)
			if err != nil {
				t.Errorf("%v; %s; the console's end:\n%s", err, res.Why, transcript.Tail(res.Console, 40))
				return
			}
			c.check(t, res)
		})
	}
}

func (c rigCase) check(t *testing.T, res rig.Result) {
	t.Helper()
	t.Logf("%.1f s on the host, %.2f s of the guest in the initramfs; %s", res.Times.Wall.Seconds(),
		res.Times.Initramfs().Seconds(), res.End)
	if err := res.Expect(c.expect...); err != nil {
		t.Error(err)
	}
	if !res.Reached {
		t.Errorf("the root was not reached; %s; %s; the console's end:\n%s", res.Why, res.End, transcript.Tail(res.Console, 40))
		return
	}
	if want := cmp.Or(c.fs, "ext4"); res.Root.Type != want {
		t.Errorf("/ is %s (%s), want %s", res.Root.Type, res.Root.Source, want)
	}
	if res.End != lab.EndOff {
		t.Errorf("it ended by %q, want that its root switched it off", res.End)
	}
	said := strings.Join(res.Root.Lines, "\n")
	for _, pattern := range c.root {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(said) {
			t.Errorf("the root says nothing like %q; it said:\n%s", pattern, said)
		}
	}
	for _, pattern := range append(c.never, "^io error") {
		if found := regexp.MustCompile("(?m)" + pattern).FindString(said); found != "" {
			t.Errorf("the root says %q, which is not to be; it said:\n%s", found, said)
		}
	}
	for _, l := range res.Root.Lines {
		if strings.HasPrefix(l, "io ") {
			t.Log(l)
		}
	}
	if at := strings.Index(res.Console, "nodisk: error"); at >= 0 && !c.errors {
		line, _, _ := strings.Cut(res.Console[at:], "\n")
		t.Errorf("the node complains: %s", line)
	}
	if c.waits != "" {
		c.patience(t, res.BootResult)
	}
	if c.more != nil {
		c.more(t, res)
	}
}

// patience checks the lines that say what is waited for.
func (c rigCase) patience(t *testing.T, res lab.BootResult) {
	t.Helper()
	var last time.Duration
	n := 0
	re := regexp.MustCompile(c.waits)
	for text := range strings.SplitSeq(res.Console, "\n") {
		l := transcript.ParseLine(text)
		if !re.MatchString(l.Text) {
			continue
		}
		// The kernel stamps a line when it is written: what held one back a moment
		// brings the next nearer to it.
		if n++; n > 1 && l.Stamp-last < 9*time.Second {
			t.Errorf("%v after the line before it comes %q, want ten seconds", l.Stamp-last, l.Text)
		}
		last = l.Stamp
	}
	if n == 0 {
		t.Errorf("the node never says what it waits for (%s); the console's end:\n%s", c.waits, transcript.Tail(res.Console, 40))
	}
	t.Logf("%d lines say what is waited for", n)
}

// stampOf is the guest time of the first line that matches.
func stampOf(t *testing.T, res lab.BootResult, pattern string) time.Duration {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for text := range strings.SplitSeq(res.Console, "\n") {
		if l := transcript.ParseLine(text); re.MatchString(l.Text) {
			return l.Stamp
		}
	}
	t.Errorf("the console has no line like %q", pattern)
	return 0
}
