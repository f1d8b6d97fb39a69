package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/internal/uevent"
)

const (
	// progressEvery is how often a wait says what it still waits for.
	progressEvery = 10 * time.Second
	// settleTime is how long a match waits for reads of other devices that are under way, so that
	// of two devices with the same label the first is taken every time, and the other is
	// reported.
	settleTime = 250 * time.Millisecond
)

// FindBlock waits until a device that the selector means can be read, and
// returns it. With disks nil every block device counts, else only these (sda)
// and their partitions. It ends with ctx; the error then says what is there, and
// a line about that is logged every 10 s before. A device that holds a
// container such as LUKS is an error at once.
func FindBlock(ctx context.Context, s Selector, disks []string, log *slog.Logger) (Block, error) {
	return newFinder(disks, log).findBlock(ctx, s)
}

// FindOn waits for the first of the disks (sda) and returns the partition that the selector
// numbers; with the zero Selector its own filesystem, else its only partition with one, where
// partitions for booting do not count. Several filesystems, none, or a container beside one are
// an error that lists them. The other disks count where a filesystem has several devices. Types
// is rootfstype=, which may name a type that Probe does not recognise, or decide which of several
// is meant.
func FindOn(ctx context.Context, disks []string, s Selector, types string, log *slog.Logger) (Block, error) {
	switch {
	case len(disks) == 0:
		return Block{}, errors.New("find a filesystem: no disk given")
	case s.IsZero():
		return newFinder(disks, log).findOn(ctx, disks[0], types)
	}
	return newFinder(disks, log).findBlock(ctx, s)
}

// A listener receives device events: *uevent.Conn.
type listener interface {
	Receive(ctx context.Context) (uevent.Event, error)
	Close() error
}

type device interface {
	io.ReaderAt
	io.Closer
}

// A finder keeps what it has read of every device, so that a device is read
// again only when an event says that it changed.
type finder struct {
	sysfs  fs.FS
	open   func(name string) (device, error)
	listen func() (listener, error)
	log    *slog.Logger
	disks  []string

	nodes []node
	known map[string]*entry
	reads chan read
}

// An entry is what is known about one device: the outcome of the last read, or that the first one
// is under way.
type entry struct {
	block   Block
	reading bool
	stale   bool // read it again, when the read under way has ended
	retried bool // what is known is valid until it has been read
}

// A read is the outcome of looking at one device.
type read struct {
	entry *entry
	block Block
}

func newFinder(disks []string, log *slog.Logger) *finder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &finder{
		sysfs:  kernfile.DirFS("/sys"),
		open:   func(name string) (device, error) { return os.Open("/dev/" + name) },
		listen: func() (listener, error) { return uevent.Listen() },
		log:    log, disks: disks,
		known: map[string]*entry{}, reads: make(chan read),
	}
}

func (f *finder) findBlock(ctx context.Context, s Selector) (Block, error) {
	if s.IsZero() || s.OfFirstDisk() && len(f.disks) == 0 {
		return Block{}, fmt.Errorf("find %s: nothing says on which disk", s)
	}
	var warning string
	b, err := f.run(ctx, func(seen []Block) verdict {
		warning = ""
		var ready []Block
		for _, b := range s.matches(seen, f.disks) {
			under := covering(seen, b)
			if s.By == ByName && len(under) > 0 {
				warning = b.Name + ": " + leftover(b, under)
			}
			var err error
			b.Members, err = members(seen, b)
			if b.Problem == "" && err == nil && (s.By == ByName || len(under) == 0) {
				ready = append(ready, b)
			}
		}
		if len(ready) == 0 {
			return verdict{waiting: s.missing(seen, f.disks)}
		}
		if others := s.several(ready[0], ready[1:]); others != "" {
			warning = others
		}
		return verdict{block: ready[0], done: true, err: ready[0].usable()}
	})
	if err != nil {
		return Block{}, fmt.Errorf("find %s: %w", s, err)
	}
	f.warn(ctx, warning)
	return b, nil
}

func (f *finder) findOn(ctx context.Context, name, types string) (Block, error) {
	var warning string
	b, err := f.run(ctx, func(seen []Block) verdict {
		c, err := onlyFilesystem(seen, name, types)
		if !c.ok && err == nil {
			return verdict{
				waiting: fmt.Sprintf("%s and the partitions of its table are not all there: %s", name, list(seen, 0)),
			}
		}
		if err == nil {
			c.block.Members, err = members(seen, c.block)
		}
		if errors.Is(err, errMembers) {
			return verdict{waiting: err.Error()}
		}
		warning = c.warning
		return verdict{block: c.block, done: true, err: err}
	})
	if err != nil {
		return Block{}, fmt.Errorf("find a filesystem on %s: %w", name, err)
	}
	f.warn(ctx, warning)
	return b, nil
}

func (f *finder) warn(ctx context.Context, warning string) {
	if warning != "" {
		f.log.WarnContext(ctx, warning)
	}
}

// A verdict is a decision about the devices seen: done with a block or an
// error, or what is still waited for.
type verdict struct {
	block   Block
	done    bool
	err     error
	waiting string
}

// run calls decide after everything that changes until it is done or ctx ends.
func (f *finder) run(ctx context.Context, decide func([]Block) verdict) (Block, error) {
	l, err := f.listen()
	if err != nil {
		return Block{}, err
	}
	inner, cancel := context.WithCancel(ctx)
	events, lost, ended := make(chan uevent.Event), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		lost <- receive(inner, l, events)
	}()
	defer func() {
		cancel()
		<-ended
		_ = l.Close()
	}()

	progress := time.NewTicker(progressEvery)
	defer progress.Stop()
	var settled <-chan time.Time
	hurry := false
	for {
		if err := f.look(inner); err != nil {
			return Block{}, err
		}
		v := decide(f.seen())
		if v.done && (!f.reading() || hurry) {
			return v.block, v.err
		}
		if v.done && settled == nil {
			settled = time.After(settleTime)
		}
		select {
		case <-ctx.Done():
			return Block{}, fmt.Errorf("%s: %w", v.waiting, context.Cause(ctx))
		case err := <-lost:
			if ctx.Err() == nil {
				return Block{}, err
			}
		case e := <-events:
			f.forget(e)
		case r := <-f.reads:
			r.entry.reading = false
			r.entry.block = r.block // which nobody sees when it was forgotten
		case <-settled:
			hurry = true
		case <-progress.C:
			f.log.InfoContext(ctx, "still waiting: "+v.waiting)
			f.retry("")
		}
	}
}

// receive passes on the events of block devices. Lost events are passed on as
// the zero Event.
func receive(ctx context.Context, l listener, events chan<- uevent.Event) error {
	for {
		e, err := l.Receive(ctx)
		switch {
		case errors.Is(err, uevent.ErrOverrun):
			e = uevent.Event{}
		case err != nil:
			return fmt.Errorf("wait for block devices: %w", err)
		case e.Subsystem != "block":
			continue
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// forget drops what an event has made stale.
func (f *finder) forget(e uevent.Event) {
	name := e.DevPath[strings.LastIndexByte(e.DevPath, '/')+1:]
	if e.Action == "add" {
		// It was read already if it was there at the last look, unless the node
		// was not.
		f.retry(name)
		return
	}
	for n, known := range f.known {
		switch {
		case e.Action != "" && n != name && f.diskOf(n) != name: // "" is lost events: any may have changed
		case e.Action != "remove" && known.reading:
			// A read that hangs is not joined by another: the kernel would keep
			// a thread for each.
			known.stale = true
		default:
			delete(f.known, n)
		}
	}
}

// reading reports whether a device that is there is still being read.
func (f *finder) reading() bool {
	for _, e := range f.known {
		if e.reading {
			return true
		}
	}
	return false
}

// retry makes devices that could not be read be read again: the one named, or all for "", and
// then also those with nothing known on them: somebody may be filling the disk, which the kernel
// does not report. Reads that are under way are not repeated: they may hang.
func (f *finder) retry(name string) {
	for n, e := range f.known {
		again := e.block.Problem != "" || name == "" && e.block.Filesystem.Type == "" && len(e.block.Table) == 0
		if (name == "" || n == name) && again && !e.reading {
			e.stale, e.retried = true, true
		}
	}
}

func (f *finder) diskOf(name string) string {
	for _, n := range f.nodes {
		if n.name == name {
			return n.disk
		}
	}
	return ""
}

const beingRead = "still being read"

// look lists the devices and starts to read the new ones. Each is read in a
// goroutine of its own: a read from a disk whose server is gone hangs in the
// kernel and cannot be interrupted, and must not keep the others waiting. Such a
// goroutine is the kernel's until the disk answers or fails.
func (f *finder) look(ctx context.Context) error {
	nodes, err := listNodes(f.sysfs, f.disks)
	if err != nil {
		return fmt.Errorf("list block devices: %w", err)
	}
	f.nodes = nodes
	here := map[string]bool{}
	for _, n := range nodes {
		here[n.name] = true
		e := f.known[n.name]
		switch {
		case e == nil:
			e = &entry{block: n.block(beingRead)}
			f.known[n.name] = e
		case e.stale && !e.reading:
			e.stale = false
			if e.block.Problem == "" && !e.retried {
				e.block = n.block(beingRead)
			}
			e.retried = false
		default:
			continue
		}
		e.reading = true
		go func() {
			r := read{entry: e, block: f.read(n)}
			select {
			case f.reads <- r:
			case <-ctx.Done():
			}
		}()
	}
	for name := range f.known {
		if !here[name] {
			delete(f.known, name)
		}
	}
	return nil
}

// block is what is known about a node before it is read.
func (n node) block(problem string) Block {
	return Block{Name: n.name, Disk: n.disk, Size: n.size, WWID: n.wwid, WriteProtected: n.ro, Problem: problem}
}

func (f *finder) read(n node) Block {
	d, err := f.open(n.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return n.block("no node /dev/" + n.name + " yet")
	case err != nil:
		return n.block("unreadable: " + cause(err))
	}
	defer func() { _ = d.Close() }()
	h, err := readHead(d)
	if err != nil {
		return n.block("unreadable: " + cause(err))
	}
	b := n.block("")
	var damaged error
	if n.number == 0 {
		b.Table, damaged = ParsePartitions(h, n.sector)
	}
	b.Filesystem, err = Probe(h, n.size, tableEnd(h, n.sector, b.Table))
	switch {
	case err != nil:
		return n.block("unreadable: " + cause(err))
	case damaged != nil && b.Filesystem.Type == "":
		b.Problem = damaged.Error()
	}
	return b
}

// cause strips what the reader of a list of devices does not need: the path
// and the name of the system call.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// seen returns what is known about all devices, in the order of the list, with what the partition
// tables say about the partitions.
func (f *finder) seen() []Block {
	blocks := make([]Block, 0, len(f.nodes))
	for _, n := range f.nodes {
		e, whole := f.known[n.name], f.known[n.disk]
		if e == nil {
			continue
		}
		b := e.block
		if n.number > 0 && whole != nil {
			if c := whole.block.Filesystem; c.AtEnd {
				b.Within = n.disk + ", " + c.container().what
			}
			for _, p := range whole.block.Table {
				if p.Number == n.number && p.Start == n.start {
					b.Partition = p
				}
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}
