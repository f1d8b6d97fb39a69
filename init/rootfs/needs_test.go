package rootfs

import (
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

var update = flag.Bool("update", false, "make the captured superblocks again with the tools of this machine")

func needsTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Missing(t, "the program "+tool)
		}
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		testenv.Missing(t, "root")
	}
}

// run runs a tool, which must succeed.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
