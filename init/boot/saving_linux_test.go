package boot

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a disk is still taking is waited for; a disk that takes nothing is not.
func TestSavingWaitsForADiskThatMoves(t *testing.T) {
	const patience = 1500 * time.Millisecond
	for name, tt := range map[string]struct {
		takes, rate time.Duration // f, and for how long the disk moves
		err         string
		took        time.Duration
		moved       int
	}{
		"quick":             {time.Second, 0, "", time.Second, 0},
		"slow":              {59 * time.Second, time.Minute, "", 59 * time.Second, 39},
		"dead":              {time.Hour, 0, "save: nothing was taken for 1.50 s: ", patience, 0},
		"dies":              {time.Hour, 10 * time.Second, "save: nothing was taken for 1.50 s: ", 12 * time.Second, 7},
		"has no end at all": {time.Hour, time.Hour, "save: not over in 300 s: ", savingMost, -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, moved := time.Now(), 0
				var said []string
				s := saving{
					look:  func() writeback { return writeback{uint64(min(time.Since(begun), tt.rate)), 512} },
					moved: func() { moved++ },
					say:   func(text string) { said = append(said, text) },
				}
				end := make(chan struct{})
				err := s.run(patience, "save", func(context.Context) error {
					select {
					case <-time.After(tt.takes):
					case <-end:
					}
					return nil
				})
				close(end)
				if took := time.Since(begun); took != tt.took || moved != tt.moved && tt.moved >= 0 {
					t.Errorf("took %v, moved %d times, want %v and %d", took, moved, tt.took, tt.moved)
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if most := int(tt.took/tellSaving) + 1; len(said) > most || moved > 0 && (len(said) == 0 || said[0] != "save: 2 MiB are left") {
					t.Errorf("it says %q, want at most %d lines", said, most)
				}
			})
		})
	}
}

func TestParseWriteback(t *testing.T) {
	if got, want := parseWriteback([]byte("nr_free_pages 7\nnr_dirty 3\nnr_writeback 4\nnr_written 50\nnr_dirtied x\nodd")), (writeback{50, 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nnr_written ") {
		t.Error("this kernel does not say what it has written")
	}
}
