package modtree

import (
	"testing"
	"time"
)

// Times are hours; depmod ran at 10.
func TestJudge(t *testing.T) {
	at := func(modified, changed int) fileTimes {
		hour := func(h int) time.Time { return time.Unix(int64(h)*3600, 0) }
		return fileTimes{hour(modified), hour(changed)}
	}
	for name, tt := range map[string]struct {
		file, dep, listed fileTimes
		want              sight
	}{
		"there when depmod ran":             {at(1, 9), at(10, 10), at(1, 8), saw},
		"came later":                        {at(11, 11), at(10, 10), at(1, 8), missed},
		"came later, as old as its package": {at(1, 11), at(10, 10), at(1, 8), missed},
		"came at the same moment":           {at(1, 10), at(10, 10), at(1, 8), missed},
		"owner of modules.dep changed":      {at(1, 11), at(10, 20), at(1, 8), missed},
		"copied":                            {at(1, 20), at(10, 20), at(1, 20), likelySaw},
		"copied, in another order":          {at(1, 19), at(10, 21), at(1, 20), likelySaw},
		"copied, and came later":            {at(11, 20), at(10, 20), at(1, 20), maybeMissed},
		"copied without times":              {at(20, 20), at(20, 20), at(21, 21), maybeMissed},
		"the same, in another order":        {at(19, 19), at(20, 20), at(21, 21), maybeMissed},
		"one time for all":                  {at(5, 20), at(5, 20), at(5, 20), maybeMissed},
	} {
		if got := judge(tt.file, tt.dep, at(0, 7), tt.listed); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
