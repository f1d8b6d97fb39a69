package boot

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/plan"
)

// noProcess is above every number that a process can have (PID_MAX_LIMIT is 4 Mi).
const noProcess = 5 << 20

const exited, killed = unix.WaitStatus(0), unix.WaitStatus(unix.SIGKILL)

// What PID 1 makes of a worker that says little, late or nothing, and when.
func TestWatched(t *testing.T) {
	off, shell := plan.Verdict{Action: plan.ActionPoweroff}, plan.Verdict{Action: plan.ActionShell}
	alive := message{Kind: messageAlive, Verdict: plan.Verdict{Action: plan.ActionAgain}}
	promise := message{Kind: messageAlive, Within: 30 * time.Second, Verdict: shell}
	type moment struct {
		after time.Duration // the one before
		says  message
		ends  *unix.WaitStatus
	}
	end := func(s unix.WaitStatus) *unix.WaitStatus { return &s }
	verdict := message{Kind: messageVerdict, Verdict: off}
	for name, tt := range map[string]struct {
		moments []moment
		closes  bool // the pipe, with the end
		want    plan.Verdict
		err     string
		took    time.Duration
	}{
		"usual":                 {[]moment{{0, verdict, nil}, {time.Second, message{}, end(exited)}}, true, off, "", time.Second},
		"held":                  {[]moment{{0, verdict, nil}, {time.Second, message{Kind: messageDone}, nil}}, false, off, "", time.Second + endTime + killTime},
		"tidies for too long":   {[]moment{{time.Minute / 2, verdict, nil}}, false, off, "", time.Minute/2 + tidyTime + killTime},
		"first word counts":     {[]moment{{0, verdict, nil}, {0, message{Kind: messageVerdict, Verdict: shell}, end(exited)}}, true, off, "", 0},
		"crashed behind it":     {[]moment{{0, verdict, nil}, {time.Second, message{}, end(killed)}}, true, off, "", time.Second},
		"killed":                {[]moment{{time.Second, alive, nil}, {0, message{}, end(killed)}}, true, plan.Verdict{}, "the worker was killed by SIGKILL (out of memory?)", time.Second},
		"killed, pipe held":     {[]moment{{time.Second, message{}, end(killed)}}, false, plan.Verdict{}, "the worker was killed by", time.Second + endTime},
		"crashed":               {[]moment{{0, message{}, end(unix.WaitStatus(2 << 8))}}, true, plan.Verdict{}, "the worker crashed with exit status 2", 0},
		"mute":                  {[]moment{{0, message{}, end(exited)}}, true, plan.Verdict{}, "the worker ended without a verdict", 0},
		"silent":                {[]moment{{time.Second, alive, nil}}, false, plan.Verdict{}, "the worker said nothing for 60 s", silentTime + killTime},
		"late":                  {[]moment{{time.Second, promise, nil}}, false, shell, "", 31*time.Second + lateTime + killTime},
		"at the deadline":       {[]moment{{time.Second, promise, nil}, {34 * time.Second, verdict, nil}}, false, off, "", 35*time.Second + tidyTime + killTime},
		"stopped, and goes on":  {[]moment{{0, message{}, end(0x137f)}, {time.Second, verdict, end(exited)}}, true, off, "", time.Second},
		"verdict after the end": {[]moment{{0, message{}, end(exited)}, {endTime / 2, verdict, nil}}, false, off, "", endTime / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				messages := make(chan message, 8)
				worker := &child{pid: noProcess, events: make(chan unix.WaitStatus, 8)}
				go func() {
					for _, m := range tt.moments {
						<-time.After(m.after)
						if m.says.Kind != 0 {
							messages <- m.says
							synctest.Wait()
						}
						if m.ends != nil {
							worker.events <- *m.ends
						}
					}
					if tt.closes {
						close(messages)
					}
				}()
				begun := time.Now()
				got, err := (&watched{worker: worker, messages: messages}).run()
				if took := time.Since(begun); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// From the deadline to what nodisk.onfail= says it takes less than 15 s, though the
// kernel holds a stage, the worker, what is let go, and the machine's end.
func TestEndsInTime(t *testing.T) {
	for name, d := range map[string]time.Duration{
		"with a verdict": stopTimeout + tidyTime + killTime + letGoTime + rebootTime,
		"without":        lateTime + killTime + letGoTime + rebootTime,
	} {
		if d >= 15*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
	if d := 3*sessionTime + syncTime + 2*unmountTime; d >= letGoTime {
		t.Errorf("the steps of letting go take %v, all of them %v", d, letGoTime)
	}
	if followTimeout >= tidyTime {
		t.Errorf("a worker tidies up for %v, and is given %v", followTimeout, tidyTime)
	}
}
