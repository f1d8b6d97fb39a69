package inventory

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/linescan"
	"github.com/nodisk/nodisk/internal/namelist"
)

// A List is what hardware a node has.
type List struct {
	Name    string   // the file, or "host"
	Release string   // of the kernel that it was taken under, empty if not known
	Product string   // the machine by its maker's name, empty if not known
	Network []string // hardware addresses of its network adapters; nil if not known
	Devices []Device // each modalias once, in the order of the listing
	// Slots are where its PCI devices are, domain, bus and device: "0000:41:00". Nil: of one
	// at least that is not known, as modaliases do not tell it.
	Slots []string
}

// A Device is something that a driver may serve.
type Device struct {
	// Modalias is as sysfs shows it. What a listing does not tell of a PCI
	// device is "*" in its field.
	Modalias string
	// Line is that of the inventory, from 1; 0 for the running machine.
	Line int
}

// Limits of ParseInventory.
const (
	inventoryMax     = 16 << 20
	inventoryDevices = 1 << 16
	inventoryErrors  = 10 // that are told one by one
	modaliasMax      = 4096
)

// Comments that "nodisk inventory" writes and ParseInventory reads.
const (
	commentRelease = "# Linux "
	commentProduct = "# product "
	commentNetwork = "# network "
)

// Parse reads what hardware a node has, in any mixture of these forms: modaliases, one a
// line, as sysfs shows them (with or without "MODALIAS=" before them); lspci
// -n, -nn, -nmm, -nvmm and -nnmm, with -v, -k, -x and -D or without, also busybox's and that of a machine
// without pci.ids; /proc/bus/pci/devices; what WriteText wrote. Lines that begin with "#" are comments.
// Lines that are none of these are errors, all of them together.
//
// Devices of classes (input, dmi) are left out: /init does not load drivers for
// them. Virtio devices, which show themselves only behind the driver of their PCI
// device, are added.
func Parse(name string, r io.Reader) (List, error) {
	p := inventoryParser{List: List{Name: name}, seen: make(map[string]bool)}
	text := linescan.New(linescan.Bound(r, inventoryMax), linescan.Longest)
	for text.Scan() {
		p.number = text.Number()
		line := text.Text()
		if p.number == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // as editors of Windows begin a file
		}
		p.line(strings.TrimRight(line, " \t\r"))
	}
	p.record()
	p.listed()
	switch {
	case text.Err() != nil:
		return List{}, fmt.Errorf("read inventory %s: %w", name, text.Err())
	case len(p.Devices) >= inventoryDevices:
		return List{}, fmt.Errorf("read inventory %s: more than %d devices", name, inventoryDevices)
	case p.foreign != nil:
		p.errs = []error{p.foreign}
	case p.bad > len(p.errs):
		p.errs = append(p.errs, fmt.Errorf("%s: %d more lines are not understood", name, p.bad-len(p.errs)))
	case p.errs == nil && p.Devices == nil:
		p.errs = append(p.errs, fmt.Errorf("%s: no device is in it; %s", name, inventoryHelp))
	}
	if p.errs != nil {
		return List{}, fmt.Errorf("read inventory: %w", errors.Join(p.errs...))
	}
	p.deriveVirtio()
	if p.unplaced {
		p.Slots = nil
	}
	return p.List, nil
}

const inventoryHelp = "take it on the node by nodisk inventory, by cat /sys/bus/*/devices/*/modalias, or by lspci -nn"

type inventoryParser struct {
	List
	seen   map[string]bool
	number int
	bad    int
	errs   []error
	// foreign is the error of the first line that another program has written: one for all of its lines.
	foreign error

	pci  *pciID // of lspci, to which further lines may belong
	at   int    // the number of its line
	text string // its line
	slot string // where it is: see Inventory.Slots
	vmm  bool   // it is a record of lspci -vmm

	unplaced bool // the place of a PCI device is not known
}

// line reads one line.
func (p *inventoryParser) line(text string) {
	if p.vmm {
		if text == "" {
			p.record()
			return
		}
		if p.field(text) {
			return
		}
		p.record()
	}
	switch {
	case text == "":
		p.listed()
		return
	case text[0] == '#':
		p.comment(text)
		return
	case text[0] == '\t' || text[0] == ' ':
		if p.pci != nil {
			p.pci.detail(text)
			return
		}
	case p.field(text):
		return
	case p.pci != nil && p.pci.dump(text):
		return
	default:
		p.listed()
		if id, ok := parseListed(text); ok {
			p.pci, p.at, p.text, p.slot = &id, p.number, text, slotOf(text)
			return
		}
		if id, ok := parseProc(text); ok {
			p.add(id.modalias(), p.number)
			return
		}
		alias := strings.TrimPrefix(text, "MODALIAS=")
		if isModalias(alias) {
			p.add(alias, p.number)
			return
		}
	}
	p.fail(p.number, text)
}

// Lines of lspci -t, such as "-[0000:00]-+-00.0" and " +-1f.2", and of lsusb.
var (
	listedTree = regexp.MustCompile(`^-\[[0-9a-f]{4}:[0-9a-f]{2}|^[\s|]*[+\\]-`)
	listedUSB  = regexp.MustCompile(`^Bus [0-9]+ Device [0-9]+: ID |^/:  Bus |^[\s|]*\|__ Port `)
)

// foreignProgram is the program that has written a line; empty if that cannot be told. Each of its
// forms has such a line near the beginning.
func foreignProgram(text string) string {
	for _, f := range [...]struct{ program, begin string }{
		{"lshw", "Bus info "},
		{"lshw", "H/W path "},
		{"lshw", "{"},
		{"lshw", "["},
		{"lshw", "<?xml "},
		{"lshw", "    description: "},
		{"hwinfo", "  [Created at "},
		{"hwinfo", "  Hardware Class: "},
		{"hwinfo", "  Unique ID: "},
		{"ibstat", "CA '"},
		{"ibv_devinfo", "hca_id:"},
	} {
		if strings.HasPrefix(text, f.begin) {
			return f.program
		}
	}
	return ""
}

// fail tells of a line that is not understood.
func (p *inventoryParser) fail(number int, text string) {
	if program := foreignProgram(text); program != "" && p.foreign == nil {
		p.foreign = fmt.Errorf("%s line %d: the listing of %s, which is not understood here: %s",
			p.Name, number, program, inventoryHelp)
	}
	if p.bad++; p.bad > inventoryErrors {
		return
	}
	const most = 60
	if len(text) > most {
		text = text[:most] + "..."
	}
	hint := "neither a modalias nor a line of lspci -n"
	if rest, ok := cutSlot(text); ok && rest != "" {
		hint = "a line of lspci without the numbers of vendor and device: take lspci -nn"
	}
	switch { // other forms of the same programs
	case listedTree.MatchString(text):
		hint = "the tree of lspci -t, which has no numbers of devices: take lspci -nn"
	case listedUSB.MatchString(text):
		hint = "a line of lsusb: of USB only modaliases are understood, as nodisk inventory writes them"
	}
	p.errs = append(p.errs, fmt.Errorf("%s line %d: %q is %s", p.Name, number, text, hint))
}

func (p *inventoryParser) comment(text string) {
	if s, ok := strings.CutPrefix(text, commentRelease); ok {
		p.Release = escape.Text(s)
	} else if s, ok := strings.CutPrefix(text, commentProduct); ok {
		p.Product = escape.Text(s)
	} else if s, ok := strings.CutPrefix(text, commentNetwork); ok && len(p.Network) < inventoryDevices {
		p.Network = append(p.Network, escape.Text(strings.TrimSpace(s)))
	}
}

// add takes a device up.
func (p *inventoryParser) add(alias string, line int) {
	if id, ok := parsePCI(alias); ok {
		alias = id.modalias() // capitals, as in sysfs and modules.alias
		p.unplaced = p.unplaced || p.pci == nil
	}
	if bus, _, _ := strings.Cut(alias, ":"); bus == "input" || bus == "dmi" || p.seen[alias] ||
		len(p.Devices) >= inventoryDevices {
		return
	}
	p.seen[alias] = true
	p.Devices = append(p.Devices, Device{Modalias: alias, Line: line})
}

// listed takes the device of lspci up whose lines have ended.
func (p *inventoryParser) listed() {
	switch {
	case p.pci == nil:
	case p.pci.named():
		p.add(p.pci.modalias(), p.at)
		if !slices.Contains(p.Slots, p.slot) && len(p.Slots) < inventoryDevices {
			p.Slots = append(p.Slots, p.slot)
		}
	default:
		p.fail(p.at, p.text)
	}
	p.pci, p.vmm = nil, false
}

// isModalias tells "bus:words" from other text. The fields of PCI and virtio
// are checked besides: a line that was cut off would match nothing.
func isModalias(s string) bool {
	bus, rest, ok := strings.Cut(s, ":")
	if !ok || bus == "" || rest == "" || len(s) > modaliasMax || bus[0] < 'a' || bus[0] > 'z' {
		return false
	}
	for _, c := range []byte(bus) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	for _, c := range []byte(rest) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	switch bus {
	case "pci":
		_, ok = parsePCI(s)
	case "virtio":
		_, ok = parseVirtio(s)
	}
	return ok
}

// WriteText writes an inventory that ParseInventory reads.
func (v List) WriteText(w io.Writer) error {
	var out strings.Builder
	out.WriteString("# nodisk inventory\n")
	if v.Release != "" {
		out.WriteString(commentRelease + v.Release + "\n")
	}
	if v.Product != "" {
		out.WriteString(commentProduct + v.Product + "\n")
	}
	for _, address := range v.Network {
		out.WriteString(commentNetwork + address + "\n")
	}
	aliases := make([]string, 0, len(v.Devices))
	for _, d := range v.Devices {
		aliases = append(aliases, d.Modalias)
	}
	for _, alias := range namelist.Sorted(aliases) {
		out.WriteString(alias + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}
