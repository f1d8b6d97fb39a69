package rootfs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTellWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		stop := tellWait(slog.New(slog.NewTextHandler(&said, nil)), "the kernel mounts /dev/sda as ext4")
		<-time.After(9 * time.Second)
		synctest.Wait()
		if said.Len() > 0 {
			t.Errorf("too early: %s", &said)
		}
		<-time.After(12 * time.Second)
		synctest.Wait()
		if n := strings.Count(said.String(), "still waiting: the kernel mounts /dev/sda as ext4, "); n != 2 || !strings.Contains(said.String(), "20 s so far") {
			t.Errorf("%d lines after 21 s: %s", n, &said)
		}
		stop()
		<-time.After(time.Hour)
		synctest.Wait()
		if n := strings.Count(said.String(), "\n"); n != 2 {
			t.Errorf("%d lines, though the wait is over", n)
		}
	})
}
