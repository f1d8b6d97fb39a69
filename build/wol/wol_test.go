package wol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
)

func mac(last byte) link.HardwareAddr {
	return link.HardwareAddr([]byte{0x52, 0x54, 0, 0x12, 0x34, last})
}

func TestFrame(t *testing.T) {
	for _, password := range [][]byte{nil, {192, 168, 1, 1}, {1, 2, 3, 4, 5, 6}} {
		got := Target{MAC: mac(0x57), Password: password}.frame(mac(1))
		want := bytes.Repeat([]byte{0xff}, 6)
		want = append(want, 0x52, 0x54, 0, 0x12, 0x34, 1, 0x08, 0x42)
		want = append(want, bytes.Repeat([]byte{0xff}, 6)...)
		for range 16 {
			want = append(want, 0x52, 0x54, 0, 0x12, 0x34, 0x57)
		}
		want = append(want, password...)
		if !bytes.Equal(got, want) || len(got) != 14+102+len(password) {
			t.Errorf("password %v: % x", password, got)
		}
	}
}

func TestSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		pace Pace
		n    int
		want string
	}{
		"one by one": {Pace{Interval: 2 * time.Second, Batch: 1, Repeat: 1}, 3, "0s 0-1, 2s 1-2, 4s 2-3"},
		"batches":    {Pace{Interval: 2 * time.Second, Batch: 2, Repeat: 1}, 5, "0s 0-2, 2s 2-4, 4s 4-5"},
		"repeated": {
			Pace{Interval: time.Second, Batch: 2, Repeat: 3},
			3,
			"0s 0-2 again, 100ms 0-2 again, 200ms 0-2, 1s 2-3 again, 1.1s 2-3 again, 1.2s 2-3",
		},
		"repeated and quick": {
			Pace{Interval: 30 * time.Millisecond, Batch: 1, Repeat: 3},
			2,
			"0s 0-1 again, 10ms 0-1 again, 20ms 0-1, 30ms 1-2 again, 40ms 1-2 again, 50ms 1-2",
		},
		"at once":           {Pace{Batch: 2, Repeat: 1}, 4, "0s 0-2, 0s 2-4"},
		"at once, repeated": {Pace{Batch: 4, Repeat: 2}, 4, "0s 0-4 again, 100ms 0-4"},
		"zero value":        {Pace{}, 2, "0s 0-1, 0s 1-2"},
		"nobody":            {Pace{Batch: 1, Repeat: 1}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for i, s := range tt.pace.Steps(tt.n) {
				if i > 0 {
					got += ", "
				}
				got += fmt.Sprintf("%v %d-%d", s.After, s.First, s.Last)
				if !s.Final {
					got += " again"
				}
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// Packets leave in order and at their times; what is told is what was woken.
func TestWake(t *testing.T) {
	targets := []Target{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	pace := Pace{Interval: 2 * time.Second, Batch: 2, Repeat: 2}
	for name, tt := range map[string]struct {
		stop  time.Duration // when somebody interrupts it
		fail  string        // whose packets do not leave
		log   []string
		woken int
		err   error
	}{
		"all": {log: []string{
			"0s a", "0s b", "100ms a", "100ms b", "100ms woken a", "100ms woken b",
			"2s c", "2.1s c", "2.1s woken c",
		}, woken: 3},
		"interrupted": {stop: time.Second, log: []string{
			"0s a", "0s b", "100ms a", "100ms b", "100ms woken a",
			"100ms woken b",
		}, woken: 2, err: context.Canceled},
		"between packets": {stop: 50 * time.Millisecond, log: []string{"0s a", "0s b"}, err: context.Canceled},
		"cannot be sent": {fail: "c", log: []string{
			"0s a", "0s b", "100ms a", "100ms b", "100ms woken a",
			"100ms woken b",
		}, woken: 2, err: errDown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.stop > 0 {
					defer time.AfterFunc(tt.stop, cancel).Stop()
				}
				begin := time.Now()
				var log []string
				note := func(s string) { log = append(log, fmt.Sprint(time.Since(begin), " ", s)) }
				woken, err := Wake(ctx, targets, pace, func(t Target) error {
					if t.Name == tt.fail {
						return errDown
					}
					note(t.Name)
					return nil
				}, func(all []Target) {
					for _, t := range all {
						note("woken " + t.Name)
					}
				})
				if diff := cmp.Diff(tt.log, log); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if woken != tt.woken || !errors.Is(err, tt.err) {
					t.Errorf("%d woken, %v; want %d, %v", woken, err, tt.woken, tt.err)
				}
			})
		})
	}
}

var errDown = errors.New("down")
