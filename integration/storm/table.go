package storm

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table is the results by fault, and a line for all. Seconds are those of
// the guest from the start of /init, and the most that the host stole of a boot.
func Table(results []Result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	line := func(name string, of func(Result) bool) {
		var n [Wrong + 1]int
		var seconds []float64
		boots, missed, stolen := 0, 0, 0.0
		for _, r := range results {
			if !of(r) {
				continue
			}
			boots++
			n[r.Outcome]++
			if r.Missed {
				missed++
			}
			stolen = max(stolen, r.Stolen.Seconds())
			seconds = append(seconds, r.Took.Seconds())
		}
		if boots == 0 {
			return
		}
		slices.Sort(seconds)
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t\n",
			name, boots, n[Reached], n[Acted], n[Handed], missed, n[Hung], n[Wrong], seconds[len(seconds)/2],
			seconds[len(seconds)-1], stolen)
	}
	_, _ = fmt.Fprintln(w, "fault\tboots\treached\tacted\thanded\tmissed\thung\twrong\tmedian s\tlongest s\tstolen s\t")
	for f := Fault(1); f <= LastFault; f++ {
		line(f.String(), func(r Result) bool { return r.Case.Fault == f })
	}
	line("all", func(Result) bool { return true })
	_ = w.Flush()
	return b.String()
}
