package plan

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestNewPolicy(t *testing.T) {
	for line, want := range map[string]Policy{
		"":                                      {OnFail: OnFailRetry},
		"nodisk.onfail=reboot":                  {OnFail: OnFailReboot, Deadline: patience},
		"nodisk.onfail=halt nodisk.deadline=20": {OnFail: OnFailHalt, Deadline: 20 * time.Second},
		"nodisk.deadline=2m":                    {OnFail: OnFailRetry, Deadline: 2 * time.Minute},
		"rd.emergency=poweroff rd.retry=180":    {OnFail: OnFailPoweroff, Deadline: 3 * time.Minute},
		"rd.shell":                              {OnFail: OnFailShell, Deadline: patience},
		"rd.shell=0":                            {OnFail: OnFailRetry},
		"nodisk.onfail=retry rd.emergency=halt": {OnFail: OnFailRetry},
	} {
		got, errs := newPolicy(cmdline.Parse(line))
		if diff := cmp.Diff(want, got); diff != "" || errs != nil {
			t.Errorf("%q: errors %v (-want +got):\n%s", line, errs, diff)
		}
	}
	got, errs := newPolicy(cmdline.Parse("nodisk.onfail=dance nodisk.deadline=soon rd.emergency=shell rd.shell=x"))
	const want = `rd.emergency=shell: is not an action; write reboot, poweroff or halt
rd.shell=x: is not a switch; write 1 or 0
nodisk.onfail=dance: is not an action; write retry, reboot, poweroff, halt or shell
nodisk.deadline=soon: is not a duration; write seconds or 90s, 5m, 1h`
	if diff := cmp.Diff(want, errors.Join(errs...).Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.OnFail != OnFailRetry {
		t.Errorf("a bad word made the policy %v", got.OnFail)
	}
}

func TestPause(t *testing.T) {
	last := time.Duration(0)
	for attempt := 1; attempt < 100; attempt++ {
		d := Pause("00:11:22:33:44:55", attempt)
		if d < firstPause*3/4 || d > longestPause {
			t.Fatalf("attempt %d: %v", attempt, d)
		}
		if attempt <= 5 && d <= last {
			t.Errorf("attempt %d: %v after %v does not grow", attempt, d, last)
		}
		last = d
	}
	if first, again := Pause("a", 3), Pause("a", 3); first != again {
		t.Error("the same node and attempt differ")
	}
	if Pause("a", 9) == Pause("b", 9) && Pause("a", 8) == Pause("b", 8) {
		t.Error("two nodes knock at the same instant")
	}
}
