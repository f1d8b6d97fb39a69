package integration

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
	"golang.org/x/sync/semaphore"
)

// A weight is how much of the machine is taken, in half processors.
type weight int64

const (
	waits weight = 1 // a node that, when it is up, mostly waits for a deadline
	busy  weight = 2 // every other node, and what makes images
)

// all of the machine: two nodes that are busy on two processors, and one that
// waits beside them. Each may need the memory of a node, 512 MiB, and QEMU's.
var all = sync.OnceValue(func() weight {
	n := 2*runtime.NumCPU() + 1
	text, _ := os.ReadFile("/proc/meminfo")
	if m := regexp.MustCompile(`MemAvailable: +(\d+) kB`).FindSubmatch(text); m != nil {
		if kb, err := strconv.Atoi(string(m[1])); err == nil {
			n = min(n, kb/(768<<10))
		}
	}
	return max(weight(n), busy)
})

// places are given in the order in which they were asked for.
var places = sync.OnceValue(func() *semaphore.Weighted { return semaphore.NewWeighted(int64(all())) })

// takePlace waits until the machine has that much room, and gives it back at the
// end of the test, or when it is told to.
func takePlace(t *testing.T, w weight) (give func()) {
	t.Helper()
	if err := places().Acquire(t.Context(), int64(w)); err != nil {
		t.Fatalf("wait for a place on the machine: %v", err)
	}
	give = sync.OnceFunc(func() { places().Release(int64(w)) })
	t.Cleanup(give)
	return give
}

// alone counts the tests that are going to take all of the machine, until they ask for it.
var alone sync.WaitGroup

// takesAll says that the test is going to take all of the machine. It is called before
// t.Parallel, so that all tests know of it that run side by side. asks is called when the
// place is asked for.
func takesAll(t *testing.T) (asks func()) {
	t.Helper()
	alone.Add(1)
	asks = sync.OnceFunc(alone.Done)
	t.Cleanup(asks)
	return asks
}

// takeLong is takePlace of a node that is busy for minutes. Places go by turns: whoever
// wants all of the machine would wait for this one, and half of it would have nothing to do.
func takeLong(t *testing.T) {
	t.Helper()
	alone.Wait()
	takePlace(t, busy)
}

// nodesAtOnce is how many busy nodes there may be.
func nodesAtOnce() int { return int(all() / busy) }

var startLab = sync.OnceValues(func() (*lab.Lab, error) {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return lab.New(context.Background(), lab.Config{Log: log})
})

// sharedLab is the lab of all tests that run side by side. It ends with the
// namespaces of this process.
func sharedLab(t *testing.T) *lab.Lab {
	t.Helper()
	lab, err := startLab()
	if err != nil {
		t.Fatal(err)
	}
	return lab
}
