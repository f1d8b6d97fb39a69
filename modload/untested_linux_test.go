package modload

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUntested(t *testing.T) {
	const text = `name         : crc32c
driver       : crc32c-generic
module       : crc32c_generic
priority     : 100
refcnt       : 1
selftest     : unknown
internal     : no
type         : shash

name         : sha256
driver       : sha256-generic
module       : kernel
selftest     : unknown
type         : shash

name         : crct10dif
driver       : crct10dif-generic
module       : crct10dif_generic
selftest     : passed
type         : shash

name         : ghash
driver       : ghash
module       : ghash_generic
selftest     : unknown
type         : larval
`
	if diff := cmp.Diff([]string{"crc32c_generic"}, untested(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, odd := range []string{"", "\n\n\n", "selftest : unknown", ":", "module : a\nselftest"} {
		if got := untested(odd); got != nil {
			t.Errorf("%q: %v", odd, got)
		}
	}
	// Of a kernel that is at rest everything has been tested, whatever the form.
	if text, err := os.ReadFile("/proc/crypto"); err == nil {
		if got := untested(string(text)); got != nil {
			t.Errorf("of this kernel: %v", got)
		}
	}
}
