package integration

import (
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// A driver that stays a minute in the probe of a device that nobody needs costs the
// node nothing, whether it has one processor or two: the root is reached before the
// probe's end, with every stage done, and one line says what was left behind.
func TestBootSlowProbe(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootISCSI, Devices: []string{"i6300esb"}, Append: "stall.probe_secs=600"}
	needs(t, spec)
	image := stallImage(t, "virt,iscsi,ext4")
	lab := sharedLab(t)
	for _, c := range []struct {
		name  string
		cpus  int
		words string
		still string // what is told at the switch
	}{
		{name: "1", cpus: 1, still: "the kernel still has stall in its init, or its probe of "},
		{name: "2", cpus: 2, still: "the kernel still has stall in its init, or its probe of "},
		// From Linux 5.17 on every finit_module(2) waits for such a probe.
		{
			name: "2-asynchronous", cpus: 2, words: " stall.async=1",
			still: `supervisor: the worker does not end: the kernel holds it in .*async_synchronize`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, busy)
			s := spec
			s.Name, s.Kernel, s.Image = "slow-probe-"+c.name, filepath.Join(kernelDir(t), "vmlinuz"), image
			s.CPUs, s.Timeout = c.cpus, 4*time.Minute
			s.Append += c.words
			s.Log = testLogFile(s.Name)
			res, err := lab.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			bootCase{spec: s, fs: "ext4", expect: []string{
				`stall: in the probe for 600 s`, byDHCP, mounted, `nodisk: switch `,
				`nodisk: (warning: )?` + c.still + `.*going on without it`,
			}}.check(t, res)
			if regexp.MustCompile(`stall: probed|attempt 1, next`).MatchString(res.Console) {
				t.Errorf("somebody waited for the probe:\n%s", transcript.Tail(res.Console, 60))
			}
		})
	}
}
