package link

import (
	"testing"
)

func FuzzResembles(f *testing.F) {
	for _, s := range []string{"0x2c90300001039", "ib0", "00-02-c9-03", "0x", "-", "a.b.c.0", "5254.0012.3457"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParsePortMatch(s)
		if err == nil && m.Addr == "" && m.Driver == "" && ResemblesAddress(s) {
			t.Errorf("%q is the name %s", s, m.Name)
		}
		if err == nil && m.Addr != "" {
			if again, err := ParsePortMatch(m.String()); err != nil || again != m {
				t.Errorf("%q is %v, which is %v, %v", s, m, again, err)
			}
		}
	})
}
