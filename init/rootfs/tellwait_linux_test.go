package rootfs

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// locked is a log that is read while it is written.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTellWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said locked
		stop := tellWait(slog.New(slog.NewTextHandler(&said, nil)), "the kernel mounts /dev/sda as ext4")
		<-time.After(9 * time.Second)
		synctest.Wait()
		if said.String() != "" {
			t.Errorf("too early: %s", said.String())
		}
		<-time.After(12 * time.Second)
		synctest.Wait()
		if n := strings.Count(said.String(), "still waiting: the kernel mounts /dev/sda as ext4, "); n != 2 || !strings.Contains(said.String(), "20 s so far") {
			t.Errorf("%d lines after 21 s: %s", n, said.String())
		}
		stop()
		<-time.After(time.Hour)
		synctest.Wait()
		if n := strings.Count(said.String(), "\n"); n != 2 {
			t.Errorf("%d lines, though the wait is over", n)
		}
	})
}
