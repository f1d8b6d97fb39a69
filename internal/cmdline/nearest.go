package cmdline

// Nearest is the word among known that is meant where somebody wrote name: that
// with the smallest edit distance (Levenshtein's: insertions, deletions and
// substitutions of bytes), the first of several. It is empty when none is nearer
// than limit.
func Nearest(name string, known []string, limit int) string {
	best := ""
	row := make([]int, len(name)+1)
	for _, k := range known {
		if k == name || len(k)-len(name) >= limit || len(name)-len(k) >= limit {
			continue
		}
		if d := distance(name, k, row); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// distance needs a row of len(a)+1 to work in.
func distance(a, b string, row []int) int {
	for i := range row {
		row[i] = i
	}
	for j := range len(b) {
		diagonal := row[0]
		row[0] = j + 1
		for i := range len(a) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[i+1]
			row[i+1] = min(cost, row[i]+1, diagonal+1)
		}
	}
	return row[len(a)]
}
