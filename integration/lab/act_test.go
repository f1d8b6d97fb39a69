package lab

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// An act waits for its line after that of the act before.
func TestPlay(t *testing.T) {
	out := transcript.New()
	v := &Node{p: &tool.Process{Out: out}}
	done := 0
	act := func(_ context.Context, a Act) error {
		done++
		if a.Pull != nil {
			return errors.New("no cable")
		}
		return nil
	}
	script := []Act{{On: "^one$"}, {On: "^two$", After: time.Millisecond}, {On: "^one$"}}
	_, _ = out.Write([]byte("one\ntwo\n"))
	played := make(chan error, 1)
	go func() { played <- Play(t.Context(), v, script, act) }()
	_, _ = out.Write([]byte("one\n"))
	if err := <-played; err != nil || done != 3 {
		t.Errorf("%v, %d acts, want 3", err, done)
	}
	out.End()
	script = append(script, Act{On: "^three$"})
	if err := Play(t.Context(), v, script, act); err == nil ||
		!strings.Contains(err.Error(), `act 4 of the script: wait for "^three$"`) {
		t.Errorf("a line that does not come: %v", err)
	}
	if err := Play(t.Context(), v, []Act{{Pull: []int{2}}}, act); err == nil ||
		err.Error() != "act 1 of the script: no cable" {
		t.Errorf("an act that fails: %v", err)
	}
}
