package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
)

// AgentPath is where the image has the agent of the directory agent: what kills,
// stops and starves the worker from within the node.
const AgentPath = "/storm"

const (
	// stormKernel is how long a kernel may take to start /init.
	kernelLimit = 5 * time.Minute
	// stormSlack is how much later the lab looks than the node must have acted:
	// the console and the end of the machine take their time.
	slack = 5 * time.Second
	// stormAnswer bounds one order to the agent: a kernel that looks for memory on a
	// busy host takes its time.
	answerLimit = 2 * time.Minute
	// stormLine is how long QEMU may take to connect the agent's line.
	lineLimit = 20 * time.Second
)

// Image is what the nodes of a storm boot. The image has the profiles virt,
// iscsi, ext4 and nfs, the module stall as one of the kernel's own, and the agent
// as /storm.
type Image struct {
	Kernel, Image string
	// Logs is a directory that gets the consoles, empty for none.
	Logs string
}

// A stormNode is a node while it runs.
type node struct {
	c       Case
	servers *servers
	v       *lab.Node
	qemu    *lab.Monitor
	agent   *agent
	over    context.CancelCauseFunc

	mu sync.Mutex
	// When the kernel started /init, the fault began and ended; zero: not yet.
	init, hit, healed time.Time
	initStamp         time.Duration // the same moment by the guest's clock
	stolen            time.Duration
}

// Run boots one node with one fault and judges what came of it. An error is
// what kept the lab from trying.
func Run(ctx context.Context, l *lab.Lab, c Case, im Image) (res Result, err error) {
	began := time.Now()
	defer func() {
		res.Case, res.Wall = c, time.Since(began)
		if err != nil {
			err = fmt.Errorf("boot %v: %w", c, err)
		}
	}()
	var undo lab.Undoer
	defer func() { err = errors.Join(err, undo.All()) }()
	n := &node{c: c}
	if n.servers, err = startServers(ctx, l, c); err != nil {
		return res, err
	}
	undo.Add(n.servers.close)
	if c.Moment.Stage == "" && c.Fault != CablePulled { // there is no cable yet
		if err := n.servers.breaks(ctx, nil); err != nil {
			return res, err
		}
	}
	ctx, n.over = context.WithCancelCause(ctx)
	defer n.over(nil)
	if err := n.switchOn(ctx, l, im, &undo); err != nil {
		return res, err
	}
	watched := make(chan error, 1)
	go func() { watched <- n.watch(ctx) }()
	boot, err := n.v.Follow(ctx)
	n.over(nil)
	if werr := <-watched; werr != nil {
		return res, errors.Join(err, werr)
	}
	if err != nil {
		return res, err
	}
	res.Console, res.End = boot.Console, boot.End
	res.judge(c, n.seen())
	return res, nil
}

// switchOn starts the machine, with its cable as the case has it.
func (n *node) switchOn(ctx context.Context, l *lab.Lab, im Image, undo *lab.Undoer) (err error) {
	spec := lab.BootSpec{
		Name: n.c.String(), Kernel: im.Kernel, Image: im.Image, Root: n.c.Root, CPUs: n.c.CPUs,
		Memory: n.c.memory(), Devices: n.c.devices(),
	}
	if im.Logs != "" {
		spec.Log = filepath.Join(im.Logs, fmt.Sprintf("storm-%d-%v.log", n.c.Seed, n.c))
	}
	name := n.servers.n.Bridge()
	m := lab.Machine{
		Spec: spec, NICs: n.servers.n.NICs(false), Accel: l.Acceleration(ctx, im.Kernel),
		Cmdline: lab.ConsoleWords + lab.Fill(n.c.words(), n.servers.values()),
		Monitor: l.Path(name + ".monitor"), Orders: l.Path(name + ".orders"),
	}
	if n.qemu, err = lab.ListenMonitor(ctx, m.Monitor); err != nil {
		return err
	}
	undo.Add(n.qemu.Close)
	if n.agent, err = listenAgent(ctx, m.Orders); err != nil {
		return err
	}
	undo.Add(n.agent.close)
	if n.v, err = l.Power(ctx, m); err != nil {
		return err
	}
	undo.Add(func() error { n.v.Off(); return nil })
	// What the root says last, and what the kernel says when it halts.
	n.v.Until = regexp.MustCompile(`^nodisk-root: done|^reboot: System halted`)
	n.v.Script = n.script
	if err := errors.Join(n.agent.accept(ctx), n.qemu.Accept(ctx)); err != nil {
		return err
	}
	if n.c.Fault == CablePulled && n.c.Moment.Stage == "" {
		if err := n.qemu.Plug(0, false); err != nil {
			return err
		}
	}
	return n.qemu.Run()
}

// script makes the fault and mends it. It ends with the node, in whatever it
// was: where the serial line or the monitor ends, the machine does.
func (n *node) script(ctx context.Context) error {
	err := n.breakAndHeal(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		<-ctx.Done()
	}
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (n *node) breakAndHeal(ctx context.Context) error {
	out := n.v.Console()
	at, err := out.Await(ctx, 0, lab.InitLine())
	if err != nil {
		return err
	}
	lines, _, _ := out.Snapshot(at - 1)
	n.mu.Lock()
	n.init, n.initStamp = time.Now(), lines[0].Stamp
	n.mu.Unlock()
	if s := n.c.Moment.Stage; s != "" {
		if s != "init" {
			if _, err := out.Await(ctx, at, regexp.MustCompile(`^nodisk: `+s+` \(`)); err != nil {
				return err
			}
		}
		if err := pass(ctx, n.c.Moment.After); err != nil {
			return err
		}
		if hit, err := n.breaks(ctx); err != nil || !hit {
			return err
		}
	}
	n.mu.Lock()
	n.hit = time.Now()
	n.mu.Unlock()
	if n.c.Heals == 0 || n.c.Fault == DriverHangs {
		return nil
	}
	if err := pass(ctx, n.c.Heals); err != nil {
		return err
	}
	if n.c.Fault == WorkerStopped {
		_, err = n.agent.order(ctx, "signal CONT")
	} else {
		err = n.servers.heals(ctx, n.qemu)
	}
	if err != nil {
		return fmt.Errorf("mend %v: %w", n.c.Fault, err)
	}
	n.mu.Lock()
	n.healed = time.Now()
	n.mu.Unlock()
	return nil
}

// breaks makes the fault. It is not hit when there is no worker to hit.
func (n *node) breaks(ctx context.Context) (hit bool, err error) {
	orders := map[Fault]string{
		WorkerKilled: "signal KILL", WorkerStopped: "signal STOP", WorkerStarved: "starve",
		WorkerPanicked: "signal ABRT",
	}
	if n.c.Fault.inNode() {
		hit, err = n.agent.order(ctx, orders[n.c.Fault])
	} else {
		hit, err = true, n.servers.breaks(ctx, n.qemu)
	}
	if err != nil {
		return hit, fmt.Errorf("make %v: %w", n.c.Fault, err)
	}
	return hit, nil
}

// watch ends the boot when the node must long have acted, and asks it before
// where it is.
func (n *node) watch(ctx context.Context) error {
	late := fmt.Errorf("the kernel did not start /init within %v", kernelLimit)
	limited, cancel := context.WithTimeoutCause(ctx, kernelLimit, late)
	defer cancel()
	if _, err := n.v.Console().Await(limited, 0, lab.InitLine()); err != nil {
		if ctx.Err() != nil || !errors.Is(err, context.Cause(limited)) {
			return nil // the node has ended
		}
		n.over(err)
		return err
	}
	before := n.v.Delays()
	for {
		n.noteStolen(before)
		left := time.Until(n.due())
		if left <= 0 {
			break
		}
		if pass(ctx, min(left, time.Second)) != nil {
			return nil
		}
	}
	if _, err := n.agent.order(ctx, "stacks"); err != nil {
		n.servers.lab.Log().Info("no stacks", "node", n.c.String(), "because", err)
	}
	n.over(errors.New("it was over"))
	return nil
}

// noteStolen adds up what the host's scheduler took from the machine since
// before. Of its threads the one that lost most counts. Not without end: a node
// that goes round in circles is late on a busy host, too.
func (n *node) noteStolen(before map[string]time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for thread, d := range n.v.Delays() {
		n.stolen = max(n.stolen, min(d-before[thread], 2*n.c.Deadline))
	}
}

// due is when the node must have acted.
func (n *node) due() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.init.IsZero() {
		return time.Now().Add(time.Second)
	}
	return n.init.Add(n.c.limit(n.since(n.hit), n.since(n.healed)) + n.stolen + slack)
}

// since is how long after the start of /init a moment was, zero for none.
func (n *node) since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(t.Sub(n.init), 1)
}

// seen is what the judge has to know. The guest's clock follows the host's.
func (n *node) seen() seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	lines, _, _ := n.v.Console().Snapshot(0)
	return seen{lines: lines, init: n.initStamp, hit: n.since(n.hit), healed: n.since(n.healed), stolen: n.stolen}
}

func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// An agent is the lab's end of a node's second serial line.
type agent struct {
	listener net.Listener

	mu    sync.Mutex // one order at a time
	conn  net.Conn
	r     *bufio.Reader
	ready bool
}

func listenAgent(ctx context.Context, path string) (*agent, error) {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the agent: %w", err)
	}
	return &agent{listener: l}, nil
}

func (a *agent) accept(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lineLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = a.listener.Close() })
	defer stop()
	conn, err := a.listener.Accept()
	if err != nil {
		return errors.Join(fmt.Errorf("wait for the agent's line: %w", err), context.Cause(ctx))
	}
	a.conn, a.r = conn, bufio.NewReader(conn)
	return nil
}

// order tells the agent to do something. done is false when there was no worker.
func (a *agent) order(ctx context.Context, what string) (done bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fail := func(err error) (bool, error) { return false, fmt.Errorf("order %q of the agent: %w", what, err) }
	if err := a.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = a.conn.SetDeadline(time.Now()) })
	defer stop()
	// Before it reads the line, what is written there is lost.
	for !a.ready {
		text, err := a.r.ReadString('\n')
		if err != nil {
			return fail(err)
		}
		a.ready = strings.TrimSpace(text) == "ready"
	}
	if _, err := fmt.Fprintln(a.conn, what); err != nil {
		return fail(err)
	}
	text, err := a.r.ReadString('\n')
	if err != nil {
		return fail(err)
	}
	switch said := strings.TrimSpace(text); {
	case said == "none":
		return false, nil
	case strings.HasPrefix(said, "ok"):
		return true, nil
	default:
		return fail(errors.New(said))
	}
}

func (a *agent) close() error {
	errs := []error{a.listener.Close()}
	if errors.Is(errs[0], net.ErrClosed) {
		errs = nil
	}
	if a.conn != nil {
		errs = append(errs, a.conn.Close())
	}
	return errors.Join(errs...)
}
