package boot

import (
	"errors"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// children reaps the children of PID 1, its own and the orphans it inherits, when the kernel
// reports them (SIGCHLD). Nothing waits in wait4(2).
type children struct {
	mu  sync.Mutex
	own map[int]*child
}

// A child is a process that PID 1 started.
type child struct {
	pid int
	// events are how it stopped or ended. After the end there is none.
	events chan unix.WaitStatus
}

// newChildren begins to reap. It goes on for as long as PID 1 is nodisk.
func newChildren() *children {
	c := &children{own: map[int]*child{}}
	told := make(chan os.Signal, 1) // one is enough: each reaps all that are dead
	signal.Notify(told, unix.SIGCHLD)
	go func() {
		for range told {
			c.bury()
		}
	}()
	return c
}

// start starts a child and follows it. The lock keeps it from being reaped before it is known.
func (c *children) start(fork func() (int, error)) (*child, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := fork()
	if err != nil {
		return nil, err
	}
	const most = 8 // stops that nobody has looked at; the end has a place of its own
	k := &child{pid: pid, events: make(chan unix.WaitStatus, most+1)}
	c.own[pid] = k
	return k, nil
}

func (c *children) bury() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || pid <= 0: // ECHILD: there is none; 0: all live
			return
		}
		k := c.own[pid]
		switch {
		case k == nil: // an orphan
		case !status.Stopped():
			delete(c.own, pid)
			k.events <- status
		case len(k.events) < cap(k.events)-1:
			k.events <- status
		}
	}
}

// kill ends a child and its process group. Threads that the kernel holds stay.
func (k *child) kill() {
	// ESRCH: there is no group of its own, or all have ended.
	_ = unix.Kill(-k.pid, unix.SIGKILL)
	_ = unix.Kill(k.pid, unix.SIGKILL)
}
