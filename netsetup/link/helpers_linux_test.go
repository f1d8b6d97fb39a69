package link

import (
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

// inNamespace runs the calling test once more in a process that has a network namespace of its
// own: all threads of it, as Up needs. It reports whether this is that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if !testenv.Inside() {
		t.Parallel()
	}
	return testenv.Namespace(t, 0)
}
