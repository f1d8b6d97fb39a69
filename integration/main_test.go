package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/internal/userns"
)

// refusedEnv carries why the test binary could not enter the namespaces to the
// tests that need them.
const refusedEnv = "NODISK_LAB_REFUSED"

// TestMain moves the whole test binary into the lab's namespaces. Fuzzing
// stays outside: its workers are processes of the go command.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.fuzz"); f == nil || f.Value.String() == "" {
		err := lab.Enter(context.Background())
		if outside, ok := errors.AsType[*lab.Outside](err); ok {
			os.Exit(outside.Status) //nolint:forbidigo // the tests have run inside
		}
		if err != nil {
			_ = os.Setenv(refusedEnv, err.Error())
		}
		if dir := os.Getenv("NODISK_TEST_LOGS"); dir != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				fmt.Fprintln(os.Stderr, "NODISK_TEST_LOGS:", err)
				os.Exit(1) //nolint:forbidigo // no test could keep what it was asked to
			}
		}
		// Which tests run side by side is said by takePlace. To a fuzzer the flag is the
		// number of its processes.
		if err := flag.Set("test.parallel", "1000"); err != nil {
			panic(err) // the flag is the testing package's own
		}
	}
	m.Run()
}

// needs checks that the lab can boot what the specification says.
func needs(t *testing.T, s lab.BootSpec) {
	t.Helper()
	if why := os.Getenv(refusedEnv); why != "" {
		testenv.Missing(t, why)
	}
	for _, err := range lab.Missing(s) {
		testenv.Missing(t, err.Error())
	}
	if (s.Root == lab.RootNFS3 || s.Root == lab.RootNFS4) && (os.Geteuid() != 0 || userns.Inside()) {
		testenv.Needs(t, false, "the NFS server must be started by root")
	}
}

func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// newLab makes a lab that ends with the test, which no other test runs beside.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	lab, err := lab.New(t.Context(), lab.Config{Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return lab
}
