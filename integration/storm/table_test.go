package storm

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	text := Table([]Result{
		{Case: Case{Fault: LUNEmpty}, Outcome: Reached, Took: 3 * time.Second},
		{Case: Case{Fault: LUNEmpty}, Outcome: Hung, Took: 40 * time.Second, Stolen: 2500 * time.Millisecond},
		{Case: Case{Fault: WorkerKilled}, Outcome: Reached, Missed: true, Took: 2 * time.Second},
	})
	var got [][]string
	for line := range strings.Lines(text) {
		got = append(got, strings.Fields(line))
	}
	want := [][]string{
		strings.Fields("fault boots reached acted handed missed hung wrong median s longest s stolen s"),
		strings.Fields("lun-empty 2 1 0 0 0 1 0 40.0 40.0 2.5"),
		strings.Fields("worker-killed 1 1 0 0 1 0 0 2.0 2.0 0.0"),
		strings.Fields("all 3 2 0 0 1 1 0 3.0 40.0 2.5"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
