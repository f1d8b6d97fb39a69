package boot

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestConsole(t *testing.T) {
	var kmsg, console bytes.Buffer
	h := NewConsole(&kmsg, &console, slog.LevelDebug, func(prio int) bool { return prio >= 4 })
	log := slog.New(h)
	log.Info("drivers (2/7): 12 modules, 0.14 s")
	log.Warn("no carrier", "dev", "eth0", "after", 12*time.Second)
	log.With("dev", "ib 0").WithGroup("port").Error("down", "state", "INIT", slog.Group("n", "a", 1))
	log.Debug("details")
	want := "<6>nodisk: drivers (2/7): 12 modules, 0.14 s\n<4>nodisk: warning: no carrier dev=eth0 after=\"12 s\"\n" +
		"<3>nodisk: error: down dev=\"ib 0\" port.state=INIT port.n.a=1\n<7>nodisk: details\n"
	if kmsg.String() != want {
		t.Errorf("kmsg:\n%s\nwant:\n%s", &kmsg, want)
	}
	// The kernel hides warnings and less here: they reach the console by us,
	// and the error is not shown twice.
	want = "nodisk: drivers (2/7): 12 modules, 0.14 s\r\nnodisk: warning: no carrier dev=eth0 after=\"12 s\"\r\nnodisk: details\r\n"
	if console.String() != want {
		t.Errorf("console:\n%s\nwant:\n%s", &console, want)
	}
}

func TestConsoleSplitsWhatTheKernelRefuses(t *testing.T) {
	var kmsg bytes.Buffer
	slog.New(NewConsole(&kmsg, nil, nil, nil)).Info("one\ntwo " + strings.Repeat("x", 2*kmsgLine))
	lines := strings.Split(strings.TrimSpace(kmsg.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d records, want 4", len(lines))
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "<6>nodisk: ") || len(l) > 1000 {
			t.Errorf("record of %d bytes: %.40s", len(l), l)
		}
	}
}

func TestConsoleLevel(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(NewConsole(nil, &b, slog.LevelWarn, nil))
	log.Info("not shown")
	log.Warn("shown")
	if b.String() != "nodisk: warning: shown\r\n" {
		t.Errorf("%q", b.String())
	}
}
