package pxe

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// All that is wrong is told at once, in the order of the lines.
func TestParseErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(bytes.NewReader(text), "nodes.yaml")
			if err == nil {
				t.Fatal("no error")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if update() {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const small = `
defaults: {image: node.img, cmdline: root=dhcp}
subnets: [{cidr: 10.0.0.0/24}]
`

// What is wrong with the document as a whole, and between its parts.
func TestParseDocument(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":       {"", "nothing in it"},
		"comment":     {"# later\n", "nothing in it"},
		"a list":      {"- a\n", "not a mapping"},
		"no YAML":     {"nodes: [\n", "nodes.yaml:2:1: a value is missing here"},
		"two":         {small + "---\na: b\n", "more than one YAML document"},
		"nothing":     {"defaults: {image: a}\n", "neither subnets nor nodes"},
		"unknown key": {"node: []\n", "did you mean nodes?"},
		"too long":    {"#" + strings.Repeat("x", maxSize), "more than 32 MiB"},
		"many":        {"subnets:\n" + strings.Repeat("- {cidr: 10.0.0.0/24}\n", maxParts+1), "more than 4096"},
		"server":      {small + "nodes: [{name: a, mac: 52:54:00:00:00:01, ip: 10.0.0.1}]", ""},
		"is server": {strings.Replace(small, "{", "{server: 10.0.0.1, ", 1) + "nodes: [{name: a, mac: " +
			"52:54:00:00:00:01, ip: 10.0.0.1}]", "is that of the server"},
		"deep": {"nodes: " + strings.Repeat("[", 100_000), "too deep to be meant"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tt.text), "nodes.yaml")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%.200v; want %q", err, tt.want)
			}
		})
	}
}

// What is wrong with the command lines that come of a description.
func TestRenderErrors(t *testing.T) {
	const node = "nodes:\n- {name: a, mac: 52:54:00:00:00:01, ip: 10.0.0.7, "
	for name, tt := range map[string]struct{ text, want string }{
		"placeholder": {small + node + "cmdline: 'root={host}'}",
			"nodes.yaml:5:3: node a: nothing is known for {host}"},
		"no gateway":    {small + node + "append: 'x={gateway} y={server}'}", "{gateway} {server}"},
		"no image":      {"subnets: [{cidr: 10.0.0.0/24}]\n" + node + "}", "nodes.yaml:3:3: node a has no image"},
		"long":          {small + node + "append: " + strings.Repeat("x", 2048) + "}", "the kernel takes 2047"},
		"checked":       {small + node + "append: refuse=this}", "nodes.yaml:5:3: node a: command line: refused"},
		"checked twice": {small + node + "append: refuse=this}", "nodes.yaml:5:3: node a: command line: and again"},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, err := Parse(strings.NewReader(tt.text), "nodes.yaml")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Render(nodes, Options{Folder: "/srv/tftp", Check: func(line string) ([]string, error) {
				if strings.Contains(line, "refuse=this") {
					return nil, errors.Join(errors.New("refused"), errors.New("and again"))
				}
				return []string{"a warning"}, nil
			}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

// The checker sees the line with what the loader adds; what it warns of is told
// once for all nodes.
func TestRenderChecks(t *testing.T) {
	nodes, err := Parse(strings.NewReader(small+`
nodes:
- {name: a, mac: 52:54:00:00:00:01, ip: 10.0.0.7, ipappend: 3}
- {name: b, guid: 00:02:c9:03:00:00:10:39, ip: 10.0.0.8, client-id: guid}
- {name: c, mac: 52:54:00:00:00:02, ip: 10.0.0.9, cmdline: "ip=eth1:dhcp"}
`), "nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var (
		lines []string
		one   sync.Mutex // the checker is called by several at once
	)
	tree, err := Render(nodes, Options{Folder: "/srv/tftp", Check: func(line string) ([]string, error) {
		one.Lock()
		defer one.Unlock()
		lines = append(lines, line)
		return []string{"a warning"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	want := []string{
		"ip=eth1:dhcp",
		"root=dhcp", // the subnet
		"root=dhcp", // all others
		"root=dhcp ip=10.0.0.7:::255.255.255.0 BOOTIF=01-52-54-00-00-00-01",
		"root=dhcp nodisk.dhcp.clientid=guid BOOTIF=20-00-02-c9-03-00-00-10-39",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"nodes.yaml:3:11: subnet 10.0.0.0/24 has Ethernet nodes (c) and InfiniBand nodes (b), which are never on one " +
			"link: divide it",
		"node a: command line: a warning",
	}, tree.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// Whatever is in it, Parse ends, and what it takes can be rendered into paths
// that stay in the directory, each once.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*/nodes.yaml", "testdata/wrong/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Add(small + "nodes: [{name: a, mac: 52:54:00:00:00:01, ip: 10.0.0.7}]")
	f.Add("a: &a [*a, *a]")
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := Parse(strings.NewReader(text), "nodes.yaml")
		if err != nil {
			return
		}
		tree, err := Render(nodes, Options{Folder: "/srv/tftp"})
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, file := range tree.Files {
			if !filepath.IsLocal(file.Path) || seen[file.Path] || strings.ContainsAny(file.Path, " \n\\'\"") {
				t.Errorf("path %q", file.Path)
			}
			seen[file.Path] = true
		}
	})
}
