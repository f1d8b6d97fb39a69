package oldkernel

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// underEnv names the test that has the filter, in its process.
const underEnv = "NODISK_OLDKERNEL_TEST"

// Under runs f as the rest of this test in a process of its own under the rules.
// The test comes to this call once more there.
func Under(t *testing.T, rules []Rule, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(underEnv) == t.Name() {
		if err := Install(rules); err != nil {
			t.Fatal(err)
		}
		f(t)
		return
	}
	levels := strings.Split(t.Name(), "/")
	for i, name := range levels {
		levels[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.count=1",
		"-test.run="+strings.Join(levels, "/"))
	cmd.Env = append(os.Environ(), underEnv+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("under the rules of another kernel: %v\n%s", err, out)
	}
}
