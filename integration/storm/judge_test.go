package storm

import (
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// The judge against consoles: what is right, and all that is wrong.
func TestJudge(t *testing.T) {
	const (
		begin = "[    3.000000] Run /storm as init process\n"
		root  = "[   10.000000] nodisk-root: reached\nnodisk-root: disks sda\n"
		gave  = "[   28.000000] nodisk: error: gave up after 25 s: attach: portal 10.77.0.2:3260: no answer; " +
			"nodisk.onfail=reboot\n"
		ended = "[   29.000000] reboot: Restarting system\n"
		again = "[   28.000000] nodisk: error: gave up after 25 s: attach: no answer; starting again " +
			"(nodisk.onfail=retry)\n"
		over = "[    9.000000] nodisk: switch (7/7): to /sbin/init\n"
	)
	killed := Case{Fault: TargetKilled, Root: lab.RootISCSI, OnFail: "reboot", Deadline: 25 * time.Second}
	retry := killed
	retry.OnFail, retry.Heals = "retry", 30*time.Second
	worker := killed
	worker.Fault, worker.Deadline = WorkerKilled, time.Minute
	driver := worker
	driver.Fault = DriverHangs
	at := func(text string, seconds string) string { return strings.Replace(text, "10.000000", seconds, 1) }
	for name, c := range map[string]struct {
		c       Case
		console string
		hit     time.Duration
		healed  time.Duration
		stolen  time.Duration
		want    Outcome
		problem string
	}{
		"reached":         {killed, begin + root, 0, 0, 0, Reached, ""},
		"acted":           {killed, begin + gave + ended, 4 * time.Second, 0, 0, Acted, ""},
		"silent":          {killed, begin + over, time.Second, 0, 0, Hung, "switch (7/7)"},
		"handed over":     {killed, begin + over, 7 * time.Second, 0, 0, Handed, ""},
		"not handed over": {worker, begin + over, 7 * time.Second, 0, 0, Hung, "switch (7/7)"},
		"another policy": {
			killed, begin + gave + "[   29.000000] reboot: Power down\n",
			1, 0, 0, Wrong, "onfail=reboot, but: reboot: Power down",
		},
		"without a cause": {killed, begin + ended, 1, 0, 0, Wrong, "no error names nodisk.onfail=reboot"},
		"too late": {
			killed, begin + gave + "[   50.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "after the limit of 40.0 s",
		},
		"too early": {
			killed, begin + gave + "[   20.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "gave up after 17.0 s",
		},
		"for nothing": {
			worker, begin + gave + "[   70.000000] reboot: Restarting system\n",
			1, 0, 0, Wrong, "nothing kept its root away",
		},
		"panic": {
			killed, begin + "[    5.000000] Kernel panic - not syncing: x\n",
			1, 0, 0, Wrong, "Kernel panic",
		},
		"two disks":    {killed, begin + strings.Replace(root, "sda", "sda sdb", 1), 1, 0, 0, Wrong, "sda sdb"},
		"another disk": {killed, begin + strings.Replace(root, "sda", "sdb", 1), 1, 0, 0, Reached, ""},
		"retry": {
			retry, begin + again + at(root, "50.000000"), 5 * time.Second, 35 * time.Second, 0,
			Reached, "",
		},
		"retry, silent": {
			retry, begin + at(root, "50.000000"), 5 * time.Second, 35 * time.Second, 0, Wrong,
			"did not begin again",
		},
		"retry, too late": {
			retry, begin + again + at(root, "90.000000"), 5 * time.Second, 35 * time.Second, 0,
			Wrong, "after the limit of 75.0 s",
		},
		"worker": {
			worker, begin + "[    5.000000] nodisk: supervisor: the worker was killed\n" + root, 1,
			0, 0, Reached, "",
		},
		"worker, silent": {worker, begin + root, 1, 0, 0, Wrong, "no line names the cause"},
		"worker, missed": {worker, begin + root, 0, 0, 0, Reached, ""},
		"driver": {driver, begin + "[    5.000000] nodisk: warning: a driver is still being loaded\n" +
			root, 1, 0, 0, Reached, ""},
		"driver, silent": {
			driver, begin + "[    5.000000] nodisk: drivers (2/7): none\n" + root, 1, 0, 0, Wrong,
			"no line names the cause",
		},
		"root lost its voice": {
			killed, begin + "[   10.000000] nodisk-root: reached\n", 9 * time.Second, 0, 0, Reached,
			"",
		},
		"late on a busy host": {
			killed, begin + gave + "[   50.000000] reboot: Restarting system\n",
			1, 0, 9 * time.Second, Acted, "",
		},
		"busy, another cause": {
			killed, begin + strings.Replace(gave, "10.77.0.2", "x", 1) + ended, 1, 0,
			9 * time.Second, Acted, "",
		},
		"busy, for nothing": {
			worker, begin + gave + "[   70.000000] reboot: Restarting system\n",
			1, 0, 19 * time.Second, Wrong, "nothing kept",
		},
	} {
		out := transcript.New()
		_, _ = out.Write([]byte(c.console))
		lines, _, _ := out.Snapshot(0)
		var r Result
		r.judge(c.c, seen{lines: lines, init: 3 * time.Second, hit: c.hit, healed: c.healed, stolen: c.stolen})
		if r.Outcome != c.want || !strings.Contains(r.Problem, c.problem) || (c.problem == "") != (r.Problem == "") {
			t.Errorf("%s: %v, %q; want %v, %q", name, r.Outcome, r.Problem, c.want, c.problem)
		}
	}
}
