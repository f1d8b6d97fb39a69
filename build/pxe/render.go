package pxe

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A File is one that was rendered.
type File struct {
	Path string // below the TFTP directory, with slashes
	Data []byte
}

// A Tree is all that Render makes of a description.
type Tree struct {
	Files    []File   // in the order of their paths
	Needs    []string // kernels, images and loaders that the files name, once each
	Warnings []string
}

// Options are what Render must be told beside the description.
type Options struct {
	// Folder is the TFTP directory on the server where the description does not
	// name it, an absolute path.
	Folder string
	// Check judges a whole command line as /init would; several calls run at once.
	// Nil: none is judged.
	Check func(line string) (warnings []string, err error)
}

// maxCmdline is COMMAND_LINE_SIZE of x86 and arm64 without the zero at its end
// (arch/*/include/asm/setup.h).
const maxCmdline = 2047

// An entry is one thing to boot: a node, or the machines of a prefix.
type entry struct {
	what string // "node node7"
	pos  Position
	node *Node        // nil for machines that are not known
	at   netip.Prefix // of these machines; the zero value: of all
	Settings
	values map[string]string
	words  string // the command line without what the loader adds
	// template is words with their placeholders.
	template string
}

// Render makes the files. All errors are returned joined, with the lines of
// the description.
func Render(n Nodes, o Options) (Tree, error) {
	n.Nodes = slices.Clone(n.Nodes) // the command lines complete them
	r := renderer{problems: problems{file: n.File}, index: newIndex(&n), n: n, o: o,
		tree: Tree{Warnings: slices.Clone(n.Warnings)}, files: map[string]string{}, warned: map[string]bool{},
		refused: map[string]*refusal{}}
	if r.n.Folder == "" {
		r.n.Folder = o.Folder
	}
	r.prepare()
	r.judge()
	r.refusals()
	for _, e := range r.entries {
		r.pxelinux(e)
		r.grub(e)
	}
	r.ipxe()
	r.dhcp()
	if err := r.err(); err != nil {
		return Tree{}, err
	}
	slices.SortFunc(r.tree.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(r.tree.Needs)
	r.tree.Needs = slices.Compact(r.tree.Needs)
	return r.tree, nil
}

// A renderer is one call of Render.
type renderer struct {
	problems
	index
	n       Nodes
	o       Options
	entries []entry
	tree    Tree
	files   map[string]string   // path to what it is for
	warned  map[string]bool     // what the checker has said
	refused map[string]*refusal // by the checker's sentence
	left    []string            // entries without files
}

// add adds a file. Two of one path are a problem that Parse should have found.
// The files of one entry share their contents.
func (r *renderer) add(path, what string, text []byte) {
	if other, taken := r.files[path]; taken {
		r.bad(Position{}, "%s and %s both are %s", what, other, path)
		return
	}
	r.files[path] = what
	r.tree.Files = append(r.tree.Files, File{Path: path, Data: text})
}

// banner is the first line of each file, after the comment sign of its format.
func banner(what string) string {
	return " Written by nodisk pxe for " + what + ". Change nodes.yaml and run it again."
}

// prepare makes the entries: nodes, then prefixes, then what is left.
func (r *renderer) prepare() {
	for i := range r.n.Nodes {
		d := &r.n.Nodes[i]
		e := entry{what: "node " + d.Name, pos: d.At, node: d, Settings: r.settings(*d)}
		if d.Secret != "" {
			e.Images = append(slices.Clone(e.Images), d.Secret)
		}
		r.entry(e, d.IP)
	}
	for _, g := range r.n.Groups {
		for _, x := range g.Prefixes {
			above := r.n.Defaults
			if s := r.subnet(x.Addr()); s != nil {
				above = s.under(above)
			}
			r.entry(entry{what: fmt.Sprintf("group %s, %v", g.Name, x), pos: g.At, at: x, Settings: g.under(above)},
				x.Addr())
		}
	}
	for _, s := range r.n.Subnets {
		if r.owners[s.Prefix] != nil {
			continue
		}
		r.entry(entry{what: fmt.Sprintf("subnet %v", s.Prefix), pos: s.At, at: s.Prefix,
			Settings: s.under(r.n.Defaults)}, s.Prefix.Addr())
	}
	r.entry(entry{what: "all others", Settings: r.n.Defaults}, netip.Addr{})
	if len(r.left) > 0 {
		r.warn("no files for %s: their command lines have placeholders like {name}, which are known for nodes only; "+
			"machines that are not in nodes: do not boot there", strings.Join(r.left, "; "))
	}
}

// entry completes an entry and keeps it, unless it is for machines that are
// not known and its command line asks for what is only known of nodes.
func (r *renderer) entry(e entry, addr netip.Addr) {
	e.values = r.values(e.node, addr)
	words := []string{}
	for _, c := range e.Consoles {
		words = append(words, "console="+c)
	}
	words = append(words, e.Cmdline)
	words = append(words, e.Append...)
	if len(e.Profiles) > 0 {
		words = append(words, "nodisk.profile="+strings.Join(e.Profiles, ","))
	}
	given := cmdline.Parse(strings.Join(words, " "))
	if e.IPAppend == IPAppendUnset {
		e.IPAppend = 2
		if namesInterface(given) {
			e.IPAppend = 0
		}
	}
	// With the firmware's lease nobody asks again.
	if e.IPAppend&1 == 0 && e.node != nil && e.node.ClientID != "" && e.node.ClientID != "auto" &&
		!given.Has("nodisk.dhcp.clientid") {
		// /init then sends what the server knows, and nothing else.
		words = append(words, "nodisk.dhcp.clientid="+e.node.ClientID)
	}
	if len(e.Images) == 0 {
		if e.node == nil {
			return
		}
		r.bad(e.pos, "%s has no image: write image: node.img under defaults:, its subnet, its group or the node",
			e.what)
		return
	}
	template := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	line, missing := fill(template, e.values)
	if len(missing) > 0 {
		if e.node == nil && onlyOfNodes(missing) {
			r.left = append(r.left, e.what)
			return
		}
		r.bad(e.pos, "%s: nothing is known for %s of the command line: there are {name} {ip} {mac} {guid} {mask} "+
			"{gateway} {domain} {server}, as far as node, subnet and defaults say them",
			e.what, strings.Join(missing, " "))
		return
	}
	e.words, e.template = line, template
	r.known(e)
	r.tree.Needs = append(append(r.tree.Needs, e.Kernel), e.Images...)
	r.entries = append(r.entries, e)
}

func (r *renderer) warn(format string, args ...any) {
	r.tree.Warnings = append(r.tree.Warnings, fmt.Sprintf(format, args...))
}

// judge looks at the command lines as the nodes will have them. That is most of
// the work with many nodes, so all processors do it.
func (r *renderer) judge() {
	lines := make([]string, len(r.entries))
	verdicts := make([]verdict, len(r.entries))
	var next atomic.Int64
	var workers sync.WaitGroup
	for i, e := range r.entries {
		lines[i] = join(e.words, e.lease(), e.bootIF())
	}
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		if r.o.Check == nil {
			break
		}
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(lines)); i = next.Add(1) - 1 {
				warnings, err := r.o.Check(lines[i])
				verdicts[i] = verdict{warnings: warnings, err: err}
			}
		})
	}
	workers.Wait()
	for i, e := range r.entries {
		r.verdict(e, lines[i], verdicts[i])
	}
}

// A verdict is what the checker says of a command line.
type verdict struct {
	warnings []string
	err      error
}

// verdict keeps what is to be told of an entry.
func (r *renderer) verdict(e entry, line string, v verdict) {
	if len(line) > maxCmdline {
		r.bad(e.pos, "%s: the command line has %d characters, the kernel takes %d: put arguments into the image's "+
			"config file (nodisk build --config)", e.what, len(line), maxCmdline)
	}
	common := e.common()
	for _, w := range v.warnings {
		w = common.Replace(w)
		// One sentence for what a thousand nodes share.
		if !r.warned[w] {
			r.warn("%s: command line: %s", e.what, w)
		}
		r.warned[w] = true
	}
	for _, one := range unjoin(v.err) {
		text := common.Replace(one.Error())
		if x, again := r.refused[text]; again {
			x.others++
			continue
		}
		r.refused[text] = &refusal{what: e.what, at: e.pos}
	}
}

// A refusal is what the checker says of one entry, and of how many others.
type refusal struct {
	what   string
	at     Position
	others int
}

func (r *renderer) refusals() {
	for _, text := range slices.Sorted(maps.Keys(r.refused)) {
		x := r.refused[text]
		others := ""
		if x.others > 0 {
			others = fmt.Sprintf(" (and %d more)", x.others)
		}
		r.bad(x.at, "%s%s: command line: %s", x.what, others, text)
	}
}

// unjoin returns the errors that errors.Join has joined.
func unjoin(err error) []error {
	var list interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return list.Unwrap()
	default:
		return []error{err}
	}
}

// namesInterface reports whether the command line itself says which interface
// is meant. BOOTIF= would contradict it where the node boots from another.
func namesInterface(args cmdline.Args) bool {
	for _, a := range args {
		switch a.Key {
		case "BOOTIF", "bootdev", "rd.bootif", "bond", "bridge", "vlan", "team", "ib.pkey":
			return true
		case "ip":
			// ip=DEVICE:WORD, or the sixth field of the kernel's form.
			if f := ipFields(a.Value); len(f) == 2 || len(f) == 3 || len(f) > 5 && f[5] != "" {
				return true
			}
		}
	}
	return false
}

// ipFields are those of ip=, where the colons of addresses in brackets divide
// nothing.
func ipFields(value string) []string {
	inside := false
	return strings.Split(strings.Map(func(c rune) rune {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case c == ':' && inside:
			return '6'
		}
		return c
	}, value), ":")
}

// bootIF is the argument that names the port, empty where it is not wanted or not
// known.
func (e entry) bootIF() string {
	switch {
	case e.IPAppend&2 == 0 || e.node == nil:
		return ""
	case e.node.infiniBand():
		return "BOOTIF=20-" + dashes(e.node.GUID.String())
	default:
		return "BOOTIF=01-" + dashes(e.node.MAC.String())
	}
}

// lease is the argument that hands over the address that the firmware got, in the
// form that pxelinux appends.
func (e entry) lease() string {
	if e.IPAppend&1 == 0 || e.node == nil || e.values["ip"] == "" {
		return ""
	}
	return "ip=" + e.values["ip"] + ":" + e.values["server"] + ":" + e.values["gateway"] + ":" + e.values["mask"]
}

func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

// serial returns unit and speed of the first serial console.
func (e entry) serial() (unit, speed string) {
	for _, c := range e.Consoles {
		if rest, ok := strings.CutPrefix(c, "ttyS"); ok {
			unit, speed, _ = strings.Cut(rest, ",")
			speed = speed[:len(speed)-len(strings.TrimLeft(speed, "0123456789"))]
			if speed == "" {
				speed = "9600" // the kernel's, drivers/tty/serial/8250
			}
			return unit, speed
		}
	}
	return "", ""
}
