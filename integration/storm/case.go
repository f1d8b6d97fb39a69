package storm

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
)

// A Fault is something that breaks while a node boots. The zero value is invalid.
type Fault int

// The faults of a storm. What is gone comes back as it was.
const (
	_              Fault = iota
	TargetKilled         // tgtd is killed
	TargetFrozen         // tgtd is stopped: its sockets are open, nobody answers
	LUNEmpty             // the disk holds nothing; later somebody writes it
	PortalGone           // packets to the server of the root are dropped
	DHCPGone             // the DHCP server is killed
	NFSKilled            // the NFS server is killed
	CablePulled          // the NIC has no carrier
	DriverHangs          // the probe of a device that no boot needs does not return
	WorkerKilled         // SIGKILL
	WorkerStopped        // SIGSTOP
	WorkerStarved        // the kernel runs out of memory and takes the worker
	WorkerPanicked       // the Go runtime crashes
	LastFault      = WorkerPanicked
)

// String returns the fault as a case's name has it.
func (f Fault) String() string {
	switch f {
	case TargetKilled:
		return "target-killed"
	case TargetFrozen:
		return "target-frozen"
	case LUNEmpty:
		return "lun-empty"
	case PortalGone:
		return "portal-gone"
	case DHCPGone:
		return "dhcp-gone"
	case NFSKilled:
		return "nfs-killed"
	case CablePulled:
		return "cable-pulled"
	case DriverHangs:
		return "driver-hangs"
	case WorkerKilled:
		return "worker-killed"
	case WorkerStopped:
		return "worker-stopped"
	case WorkerStarved:
		return "worker-starved"
	case WorkerPanicked:
		return "worker-panicked"
	default:
		return fmt.Sprintf("Fault(%d)", int(f))
	}
}

// keepsRootAway reports whether a node cannot reach its root while the fault lasts.
func (f Fault) keepsRootAway() bool { return f < DriverHangs }

// inNode reports whether the fault is one of a process in the node.
func (f Fault) inNode() bool { return f > DriverHangs }

// A Moment is a place in a boot: the time After after a line of the console.
type Moment struct {
	// Stage is the stage that ended, "init" for the start of /init. Empty means
	// before the node is switched on.
	Stage string
	After time.Duration
}

// A Case is one boot with one fault: data, made of a seed.
type Case struct {
	Seed  uint64
	Index int // of the storm of that seed

	Fault  Fault
	Moment Moment
	// Heals is how long the fault lasts; zero is forever.
	Heals time.Duration
	// Restart, of LUNEmpty: whoever writes the disk starts the target again.
	Restart bool

	Root   lab.Root // RootISCSI or RootNFS3
	Static bool     // no DHCP
	CPUs   int
	// OnFail and Deadline are nodisk.onfail= and nodisk.deadline=.
	OnFail   string
	Deadline time.Duration
}

// String is the case's name: its place in the storm, and the fault.
func (c Case) String() string { return fmt.Sprintf("%03d-%v", c.Index, c.Fault) }

// Describe is the case in a line, for whoever has to find out what went wrong.
func (c Case) Describe() string {
	when := "before power on"
	if c.Moment.Stage != "" {
		when = fmt.Sprintf("%v after %s", c.Moment.After, c.Moment.Stage)
	}
	heals := "forever"
	if c.Heals > 0 {
		heals = "for " + c.Heals.String()
	}
	address := "DHCP"
	if c.Static {
		address = "a static address"
	}
	return fmt.Sprintf("%v %s, %s; root %v with %s, %d CPU, onfail=%s deadline=%v",
		c.Fault, when, heals, c.Root, address, c.CPUs, c.OnFail, c.Deadline)
}

// Cases returns the first n cases of a seed. Each run of as many as there are
// faults holds every fault once, in an order of the seed's.
func Cases(seed uint64, n int) []Case {
	cases := make([]Case, n)
	for i := range cases {
		cases[i] = caseAt(seed, i)
	}
	return cases
}

// caseAt returns one case of a seed; the others need not be made.
func caseAt(seed uint64, index int) Case {
	kinds := int(LastFault)
	order := rand.New(rand.NewPCG(seed, 1<<63|uint64(index/kinds))).Perm(kinds)
	r := rand.New(rand.NewPCG(seed, uint64(index)))
	c := Case{
		Seed: seed, Index: index, Fault: Fault(order[index%kinds] + 1),
		Root: pick(r, lab.RootISCSI, lab.RootISCSI, lab.RootNFS3), Static: pick(r, false, true), CPUs: pick(r, 1, 2),
		OnFail: pick(r, "retry", "retry", "reboot", "poweroff", "halt"),
		// Far beyond a boot: what takes no root away must not come near it.
		Deadline: time.Minute,
	}
	switch c.Fault {
	case TargetKilled, TargetFrozen, LUNEmpty:
		c.Root = lab.RootISCSI
	case NFSKilled:
		c.Root = lab.RootNFS3
	case DHCPGone:
		c.Static = false
	default:
	}
	if c.Fault.keepsRootAway() || c.Fault == WorkerStopped {
		c.Deadline = span(r, 20*time.Second, 30*time.Second).Round(time.Second)
	}
	c.Moment = c.moment(r)
	c.Heals = c.heals(r)
	c.Restart = c.Fault == LUNEmpty && pick(r, false, true)
	return c
}

// moment chooses a place. Races sit where one stage ends and the next begins:
// half of the faults come within a tenth of a second there.
func (c Case) moment(r *rand.Rand) Moment {
	var stages []string
	longest := 2 * time.Second
	switch c.Fault {
	case LUNEmpty, DriverHangs:
		return Moment{}
	case DHCPGone:
		stages = []string{"", "init", "mounts"}
	case TargetKilled, TargetFrozen, PortalGone, NFSKilled, CablePulled:
		stages = []string{"", "init", "mounts", "drivers", "network", "network", "storage"}
		if c.Root == lab.RootISCSI {
			stages = append(stages, "attach", "attach")
		}
	default:
		// The line of mounts is the worker's first, and with the root it ends.
		stages, longest = []string{"mounts", "mounts", "drivers", "network"}, 600*time.Millisecond
	}
	m := Moment{Stage: pick(r, stages...)}
	m.After = pick(r, span(r, 0, 100*time.Millisecond), span(r, 0, longest)).Round(time.Millisecond)
	if m.Stage == "" {
		m.After = 0
	}
	return m
}

// heals chooses how long the fault lasts. A node that tries forever is only to
// reach its root when somebody mends the fault.
func (c Case) heals(r *rand.Rand) time.Duration {
	d := span(r, time.Second, c.Deadline*3/2).Round(time.Millisecond)
	switch c.Fault {
	case DriverHangs:
		d = d.Round(time.Second) // the module's parameter is in seconds
	case WorkerKilled, WorkerStarved, WorkerPanicked:
		return 0
	default:
	}
	never := pick(r, false, true)
	if never && (c.OnFail != "retry" || !c.Fault.keepsRootAway()) {
		return 0
	}
	return d
}

// words are the node's command line, with placeholders.
func (c Case) words() string {
	address := "ip=dhcp"
	if c.Static {
		address = "ip={client}::{gateway}:{mask}:{name}::none"
	}
	words := []string{address}
	switch {
	case c.Root == lab.RootNFS3:
		// Every node has a server of its own, and the machine has one portmapper.
		words = append(words, "root=/dev/nfs nfsroot={server}:{export},vers=3,port={nfsport},mountport={mountport}")
	case c.Static:
		words = append(words, "netroot=iscsi:{server}::3260:1:{target} root=LABEL={label}")
	default:
		words = append(words, "root=dhcp")
	}
	if c.Fault == DriverHangs {
		secs := int(c.Heals / time.Second)
		words = append(words, fmt.Sprintf("stall.probe_secs=%d", cmp.Or(secs, 100000)))
	}
	// PID 1 begins as the agent: see the directory agent.
	words = append(words, "rdinit="+AgentPath, "nodisk.onfail="+c.OnFail, fmt.Sprintf("nodisk.deadline=%v", c.Deadline))
	return strings.Join(words, " ")
}

// devices are what the node has besides.
func (c Case) devices() []string {
	if c.Fault == DriverHangs {
		return []string{"i6300esb"} // the stall module's
	}
	return nil
}

// memory is the node's, in MiB: little where it is to be taken before the boot is
// over.
func (c Case) memory() int {
	if c.Fault == WorkerStarved {
		return 192
	}
	return 384
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func span(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}
