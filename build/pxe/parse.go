package pxe

import (
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Values where the file says nothing.
const (
	defaultKernel = "vmlinuz"
	defaultBIOS   = "pxelinux.0"
	defaultGRUB   = "grub"
	defaultLease  = 12 * time.Hour
)

// Parse reads a description (docs/pxe.md); file is what messages call it. Its
// errors are joined, each begins with file, line and column of what it is about.
func Parse(r io.Reader, file string) (Nodes, error) {
	p := parser{
		problems: problems{file: file},
		n:        Nodes{File: file, Defaults: Settings{IPAppend: IPAppendUnset}, Lease: defaultLease},
	}
	root, err := p.document(r)
	if err != nil {
		return Nodes{}, err
	}
	if p.list != nil { // aliases that stand for nothing: all else would be their doing
		return Nodes{}, p.err()
	}
	root.Content = withoutExtensions(root.Content)
	p.fields(root, "the file", map[string]func(*yaml.Node){
		"defaults": p.readDefaults,
		"subnets":  func(n *yaml.Node) { p.items(n, "subnets", p.readSubnet) },
		"groups":   p.readGroups,
		"nodes":    func(n *yaml.Node) { p.items(n, "nodes", p.readNode) },
	})
	if p.n.Defaults.Kernel == "" {
		p.n.Defaults.Kernel = defaultKernel
	}
	if p.n.Loader.GRUB == "" {
		p.n.Loader.GRUB = defaultGRUB
	}
	if p.n.Loader.BIOS+p.n.Loader.UEFI+p.n.Loader.ARM+p.n.Loader.IPXE == "" {
		p.n.Loader.BIOS = defaultBIOS
	}
	p.check()
	if err := p.err(); err != nil {
		return Nodes{}, err
	}
	return p.n, nil
}

// withoutExtensions leaves out the keys of a mapping that begin with x-, where
// anchors may have their place.
func withoutExtensions(content []*yaml.Node) []*yaml.Node {
	var kept []*yaml.Node
	for i := 0; i+1 < len(content); i += 2 {
		if !strings.HasPrefix(content[i].Value, "x-") {
			kept = append(kept, content[i], content[i+1])
		}
	}
	return kept
}

// A parser holds what was read so far and what is wrong with it.
type parser struct {
	problems
	index // of all that was read, from check on
	n     Nodes
}

func (p *parser) readDefaults(n *yaml.Node) {
	read := p.settingsOf(&p.n.Defaults, "defaults")
	read["server"] = func(v *yaml.Node) { p.n.Server = p.addr(v, "server") }
	read["http"] = func(v *yaml.Node) { p.n.HTTP = p.base(v) }
	read["folder"] = func(v *yaml.Node) {
		p.n.Folder = p.text(v, "folder")
		if p.n.Folder != "" && (!path.IsAbs(p.n.Folder) || !plain(p.n.Folder)) {
			p.bad(at(v), "folder %q is not a path from the root, of letters, digits and . _ - + /: write the TFTP "+
				"directory on the server, such as /srv/tftp", clip(p.n.Folder))
		}
	}
	read["interface"] = func(v *yaml.Node) {
		p.n.Interface = p.text(v, "interface")
		if !plain(p.n.Interface) || len(p.n.Interface) > 15 {
			p.bad(at(v), "interface %q is not the name of one", clip(p.n.Interface))
		}
	}
	read["lease"] = func(v *yaml.Node) {
		d, err := time.ParseDuration(p.text(v, "lease"))
		if err != nil || d < 2*time.Minute || d > 365*24*time.Hour {
			p.bad(at(v), "lease %q is not a time from 2m to 8760h: write 12h, for example", clip(v.Value))
			return
		}
		p.n.Lease = d.Truncate(time.Second)
	}
	read["loader"] = func(v *yaml.Node) {
		l := &p.n.Loader
		p.fields(v, "loader", map[string]func(*yaml.Node){
			"bios":  func(v *yaml.Node) { l.BIOS = p.file(v, "loader bios") },
			"uefi":  func(v *yaml.Node) { l.UEFI = p.file(v, "loader uefi") },
			"arm64": func(v *yaml.Node) { l.ARM = p.file(v, "loader arm64") },
			"ipxe":  func(v *yaml.Node) { l.IPXE = p.file(v, "loader ipxe") },
			"grub":  func(v *yaml.Node) { l.GRUB = p.file(v, "loader grub") },
		})
	}
	p.fields(n, "defaults", read)
}

// settings returns the readers of what is common to defaults, subnets, groups
// and nodes.
func (p *parser) settingsOf(s *Settings, what string) map[string]func(*yaml.Node) {
	s.IPAppend = IPAppendUnset
	images := func(v *yaml.Node) {
		if len(s.Images) > 0 {
			p.bad(at(v), "%s: image and images: write one of them", what)
		}
		for _, c := range elements(v) {
			if f := p.file(c, what+": image"); f != "" {
				s.Images = append(s.Images, f)
			}
		}
	}
	return map[string]func(*yaml.Node){
		"kernel": func(v *yaml.Node) { s.Kernel = p.file(v, what+": kernel") },
		"image":  images,
		"images": images,
		"cmdline": func(v *yaml.Node) {
			s.Cmdline = p.words(v, what+": cmdline")
		},
		"append": func(v *yaml.Node) {
			if w := p.words(v, what+": append"); w != "" {
				s.Append = []string{w}
			}
		},
		"profile": func(v *yaml.Node) {
			for _, t := range p.texts(v, what+": profile") {
				s.Profiles = append(s.Profiles,
					strings.FieldsFunc(t, func(r rune) bool { return r == ',' || r == ' ' })...)
			}
			for _, f := range s.Profiles {
				if !plain(f) {
					p.bad(at(v), "%s: profile %q is not the name of one", what, clip(f))
				}
			}
		},
		"console": func(v *yaml.Node) {
			s.Consoles = p.texts(v, what+": console")
			for _, c := range s.Consoles {
				if !plain(strings.ReplaceAll(c, ",", "")) {
					p.bad(at(v), "%s: console %q: write ttyS0,115200 or tty0, several as a list", what, clip(c))
				}
			}
		},
		"ipappend": func(v *yaml.Node) {
			i, err := strconv.Atoi(p.text(v, what+": ipappend"))
			if err != nil || i < 0 || i > 3 {
				p.bad(at(v), "%s: ipappend %q: write 0, 1 (the firmware's lease), 2 (BOOTIF=) or 3 (both)",
					what, clip(v.Value))
				return
			}
			s.IPAppend = i
		},
		"linuxefi": func(v *yaml.Node) {
			b, err := strconv.ParseBool(p.text(v, what+": linuxefi"))
			if err != nil {
				p.bad(at(v), "%s: linuxefi %q: write true or false", what, clip(v.Value))
			}
			s.LinuxEFI, s.efiSet = b, true
		},
	}
}

func (p *parser) readSubnet(n *yaml.Node) {
	s := Subnet{At: at(n)}
	what := "subnet"
	if v := value(n, "cidr"); v != nil {
		what += " " + shown(v.Value)
	}
	read := p.settingsOf(&s.Settings, what)
	read["cidr"] = func(v *yaml.Node) { s.Prefix = p.prefix(v, what+": cidr") }
	read["gateway"] = func(v *yaml.Node) { s.Gateway = p.addr(v, what+": gateway") }
	read["dns"] = func(v *yaml.Node) {
		for _, c := range elements(v) {
			s.DNS = append(s.DNS, p.addr(c, what+": dns"))
		}
	}
	read["domain"] = func(v *yaml.Node) {
		s.Domain = strings.ToLower(p.text(v, what+": domain"))
		for label := range strings.SplitSeq(s.Domain, ".") {
			if !hostLabel(label) {
				p.bad(at(v), "%s: %q is not a domain: write letters, digits and hyphens between dots",
					what, clip(s.Domain))
				break
			}
		}
	}
	read["range"] = func(v *yaml.Node) { s.First, s.Last = p.pool(v, what) }
	p.fields(n, what, read)
	if !s.Prefix.IsValid() {
		if value(n, "cidr") == nil {
			p.bad(at(n), "subnet without cidr: write cidr: 10.0.0.0/24, for example")
		}
		return
	}
	p.n.Subnets = append(p.n.Subnets, s)
}

func (p *parser) readGroups(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.bad(at(n), "groups is not a mapping (name: settings): %s", described(n))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		g := Group{At: at(key), Name: key.Value}
		if key.Kind != yaml.ScalarNode || !plain(g.Name) {
			p.bad(at(key), "group %q: write a name of letters, digits and . _ -", clip(g.Name))
			continue
		}
		if line, again := lines[g.Name]; again {
			p.bad(at(key), "group %s: again, is in line %d already", g.Name, line)
			continue
		}
		lines[g.Name] = key.Line
		what := "group " + g.Name
		read := p.settingsOf(&g.Settings, what)
		prefixes := func(v *yaml.Node) {
			for _, c := range elements(v) {
				if x := p.prefix(c, what+": prefix"); x.IsValid() {
					g.Prefixes = append(g.Prefixes, x)
				}
			}
		}
		read["prefix"], read["prefixes"] = prefixes, prefixes
		read["wake"] = func(v *yaml.Node) { g.Wake = p.wake(v, what+": wake") }
		p.fields(n.Content[i+1], what, read)
		p.n.Groups = append(p.n.Groups, g)
	}
}

func (p *parser) readNode(n *yaml.Node) {
	d := Node{At: at(n)}
	what := "node"
	if v := value(n, "name"); v != nil && v.Value != "" {
		what += " " + shown(v.Value)
	}
	read := p.settingsOf(&d.Settings, what)
	read["name"] = func(v *yaml.Node) {
		d.Name = strings.ToLower(p.text(v, what+": name"))
		if d.Name != "" && !hostLabel(d.Name) {
			p.bad(at(v), "name %q is not a host name: write 1 to 63 letters, digits and hyphens, none at the ends; "+
				"the domain belongs to the subnet", clip(d.Name))
			d.Name = ""
		}
	}
	read["group"] = func(v *yaml.Node) { d.Group = p.text(v, what+": group") }
	read["ip"] = func(v *yaml.Node) { d.IP = p.addr(v, what+": ip") }
	read["mac"] = func(v *yaml.Node) {
		d.MAC = p.mac(v, what+": mac")
	}
	read["guid"] = func(v *yaml.Node) { d.GUID, d.Port = p.guid(v, what) }
	read["wake"] = func(v *yaml.Node) { d.Wake = p.wake(v, what+": wake") }
	read["client-id"] = func(v *yaml.Node) { d.ClientID = p.clientID(v, what) }
	read["secret"] = func(v *yaml.Node) { d.Secret = p.file(v, what+": secret") }
	p.fields(n, what, read)
	if n.Kind != yaml.MappingNode {
		return
	}
	mac, guid := value(n, "mac"), value(n, "guid")
	switch {
	case value(n, "name") == nil:
		p.bad(at(n), "node without name")
	case mac == nil && guid == nil:
		p.bad(at(n), "%s has neither mac nor guid: write that of the port it boots from", what)
	case mac != nil && guid != nil:
		p.bad(at(guid), "%s has mac and guid: write that of the port it boots from", what)
	case d.ClientID == "hwaddr" && guid != nil && d.Port == "":
		p.bad(at(guid), "%s: client-id hwaddr has all 20 bytes of the address: write them for guid, as ip "+
			"link shows them", what)
	}
	p.n.Nodes = append(p.n.Nodes, d)
}

// base reads the URL of the TFTP directory.
func (p *parser) base(v *yaml.Node) string {
	s := p.text(v, "http")
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery+u.Fragment != "" ||
		!plain(strings.ReplaceAll(u.Host+u.Path, ":", "")) {
		p.bad(at(v), "http %q is not a URL: write that of the TFTP directory, such as http://10.0.0.1/boot/", clip(s))
		return ""
	}
	return "http://" + u.Host + strings.TrimSuffix(u.Path, "/") + "/"
}
