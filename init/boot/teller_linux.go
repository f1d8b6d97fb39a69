package boot

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/plan"
)

// A teller is a child's end of the pipe to PID 1.
type teller struct {
	mu     sync.Mutex
	pipe   *os.File
	due    time.Time   // of the verdict; zero: whenever it comes
	action plan.Action // if it does not come in time
	said   bool        // the verdict
}

// newTeller takes over the pipe. First of all it is hidden from the children of this process: a
// descriptor in a shell, or in what was started there, outlives it.
func newTeller() *teller {
	unix.CloseOnExec(messageFD)
	return &teller{pipe: os.NewFile(messageFD, "pipe to PID 1"), action: plan.ActionAgain}
}

// promise says by when there will be a verdict, and what is to be done if not.
func (t *teller) promise(due time.Time, action plan.Action) {
	t.mu.Lock()
	t.due, t.action = due, action
	t.mu.Unlock()
	t.alive()
}

// alive says that this process is at work.
func (t *teller) alive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said {
		return
	}
	m := message{Kind: messageAlive, Verdict: plan.Verdict{Action: t.action}}
	if !t.due.IsZero() {
		m.Within = max(time.Until(t.due), time.Millisecond)
	}
	_ = t.write(m) // PID 1 draws its own conclusions from silence
}

// keepTelling says so repeatedly. It ends with the process.
func (t *teller) keepTelling() {
	for range time.Tick(aliveEvery) {
		t.alive()
	}
}

func (t *teller) verdict(v plan.Verdict) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = true
	return t.write(message{Kind: messageVerdict, Verdict: v})
}

// done says that nothing is left to do.
func (t *teller) done() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = true
	return t.write(message{Kind: messageDone})
}

func (t *teller) write(m message) error {
	b, err := m.Encode()
	if err == nil {
		_, err = t.pipe.Write(b)
	}
	if err != nil {
		return fmt.Errorf("tell PID 1 %s: %w", m.Kind, err)
	}
	return nil
}
