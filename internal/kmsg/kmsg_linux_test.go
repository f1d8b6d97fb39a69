package kmsg

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMessages(t *testing.T) {
	steps := []struct {
		text string
		err  error
	}{
		{"", unix.EPIPE},
		{"4,1,1,-;first\n", nil},
		{"", unix.EINTR},
		{"garbage", nil},
		{"4,2,1,-;second\n K=V\n", nil},
		{"", unix.EAGAIN},
		{"4,3,1,-;not read\n", nil},
	}
	got := messages(func(b []byte) (int, error) {
		s := steps[0]
		steps = steps[1:]
		return copy(b, s.text), s.err
	})
	if diff := cmp.Diff([]string{"first", "second"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	endless := 0
	messages(func(b []byte) (int, error) {
		endless++
		return copy(b, "4,1,1,-;again\n"), nil
	})
	if endless != maxRecords {
		t.Errorf("%d records were read of a log without end", endless)
	}
}
