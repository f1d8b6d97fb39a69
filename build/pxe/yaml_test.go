package pxe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMAC(t *testing.T) {
	for s, want := range map[string]string{
		"52:54:00:12:34:57":  "52:54:00:12:34:57",
		"52-54-00-12-34-57":  "52:54:00:12:34:57",
		"52 54 00 12 34 57":  "52:54:00:12:34:57",
		"52:54:0:12:34:7":    "52:54:00:12:34:07",
		"5254.0012.3457":     "52:54:00:12:34:57",
		"5254-0012-3457":     "52:54:00:12:34:57",
		"5254:0012:3457":     "52:54:00:12:34:57",
		"525400-123457":      "52:54:00:12:34:57",
		"525400:123457":      "52:54:00:12:34:57",
		"525400123457":       "52:54:00:12:34:57",
		"0x525400123457":     "52:54:00:12:34:57",
		"5254E3123457":       "52:54:e3:12:34:57",
		"001122334455":       "00:11:22:33:44:55",
		" 52:54:00:12:34:57": "52:54:00:12:34:57",

		"":                          "is not six bytes",
		"52:54:00:12:34":            "is not six bytes",
		"52:54:00:12:34:57:":        "has separators that do not match",
		":52:54:00:12:34:57":        "has separators that do not match",
		"52::54:00:12:34:57":        "has separators that do not match",
		"52:54-00:12:34:57":         "has separators that do not match",
		"525:400:12:34:57:1":        "has groups that are not equally long",
		"52:54:00:12:34:5g":         "is not of hexadecimal digits",
		"52_54_00_12_34_57":         "is not of hexadecimal digits",
		"52:54:00:ff:fe:12:34:57":   "has eight bytes: that is an EUI-64, or the GUID of an InfiniBand port",
		strings.Repeat("00", 20):    "has twenty bytes: that is an InfiniBand port",
		"5254.0012.34":              "has groups that are not equally long",
		"５２:54:00:12:34:57":         "is not of hexadecimal digits",
		strings.Repeat("00:", 1000): "has separators that do not match",
	} {
		a, err := ParseMAC(s)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// A MAC is what is written, in quotes or not, also where YAML 1.1 or 1.2 reads
// a number: an integer, base 60, a float, octal.
func TestMACsInYAML(t *testing.T) {
	for _, mac := range []string{"525400123457", "52:54:00:12:34:56", "5254e3123457", "001122334455", "0x525400123457",
		"5254.0012.3457", "525400-123457", "525400100000", "00:11:22:33:44:55", "020000000007"} {
		for _, quote := range []string{"", "'", `"`} {
			text := fmt.Sprintf("%snodes:\n- name: a\n  mac: %s%s%s\n- {name: b, mac: %s%s%s }\n",
				small, quote, mac, quote, quote, otherMAC(mac), quote)
			n, err := Parse(strings.NewReader(text), "nodes.yaml")
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			want, _ := ParseMAC(mac)
			if n.Nodes[0].MAC != want {
				t.Errorf("%s%s: %s", quote, mac, n.Nodes[0].MAC)
			}
		}
	}
}

// otherMAC is one that differs in the last digit.
func otherMAC(s string) string {
	if strings.HasSuffix(s, "9") {
		return s[:len(s)-1] + "8"
	}
	return s[:len(s)-1] + "9"
}

// Merge keys: own keys hold, then the first mapping of a list.
func TestMergeKeys(t *testing.T) {
	n, err := Parse(strings.NewReader(mergeText), "nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range n.Nodes {
		got = append(got, fmt.Sprint(d.Name, " ", d.IP, " ", d.Kernel, d.Images, d.Append, d.Profiles, d.Consoles))
	}
	if diff := cmp.Diff([]string{
		"a 10.0.0.1 k/base[base.img] [of=more] [ib] [tty0]",
		"b 10.0.0.2 k/base[own.img own2.img] [of=more] [ib] [tty0]",
		"c invalid IP [] [inline=1] [] []",
		"d invalid IP k/base[base.img] [of=base] [ib] [tty0]",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const mergeText = `
x-more: &more { append: of=more, profile: ib, console: tty0 }
x-base: &base
  image: base.img
  append: of=base
  kernel: k/base
defaults: &d { image: node.img, cmdline: root=dhcp }
subnets: [{ cidr: 10.0.0.0/24, <<: *d }]
nodes:
- &n { name: a, mac: 525400000001, ip: 10.0.0.1, <<: [*more, *base] }
- <<: *n
  name: b
  mac: &mac 52:54:00:00:00:02
  ip: 10.0.0.2
  images: [own.img, own2.img]
- { name: c, mac: 52:54:00:00:00:03, <<: { append: inline=1 } }
- { <<: [*base, *more], name: d, mac: 52:54:00:00:00:04 }
`

// Errors name file, line and column, in words of the description.
func TestYAMLErrors(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"tab":       {"nodes:\n\t- name: a\n", "nodes.yaml:2:1: a tab: YAML indents with spaces alone"},
		"tab below": {"nodes:\n  - name: a\n\tmac: b\n", "nodes.yaml:3:1: a tab: YAML indents with spaces alone"},
		"tab after space": {"nodes:\n  - name: a\n  \tmac: b\n", "nodes.yaml:3:3: a tab: YAML indents " +
			"with spaces alone"},
		"colon": {"a: b: c\n",
			`nodes.yaml:1:5: a colon where no key can be: put text with ": " into quotes, and begin keys below those that they belong to`},
		"quotes": {"a: 'b\nc: d\n", "nodes.yaml:1:4: the quotes that begin here are never closed"},
		"bracket": {"a: {x: 1\nb: 2\n", "nodes.yaml:2:2: the bracket of line 1, column 4 is not closed, or a " +
			"comma is missing before this"},
		"at": {"a: @x\n", "nodes.yaml:1:4: no value can begin with '@': put it into quotes"},
		"escape": {`a: "\q"`,
			`nodes.yaml:1:5: within double quotes \ begins an escape sequence, and this is not one: use single quotes`},
		"anchor": {"a: *x\n", "nodes.yaml:1:4: there is no anchor &x before this: write it where the alias " +
			"*x comes from, or put the text into quotes"},
		"indentation": {"- a\nb: 1\n", "nodes.yaml:2:1: this does not line up with the lines that begin in line " +
			"1, column 1: indent it as they are"},
		"UTF-8":       {"a: 1\nb: \"\xff\"\n", "nodes.yaml:2:5: byte 0xff is not UTF-8: save the file in UTF-8"},
		"UTF-16":      {"\xff\xfea\x00", "nodes.yaml:1:1: byte 0xff is not UTF-8: save the file in UTF-8"},
		"escape byte": {"a: 1\nb: \x1b[31m\n", "nodes.yaml:2:4: control character U+001B: remove it"},
		"escaped byte": {"nodes: [{name: \"\\e[31m\", mac: 1}]\n", "nodes.yaml:1:31: node \"\\x1b[31m\": mac " +
			"\"1\" is not six bytes"},
		"itself":        {"nodes: &n [*n]\n", "nodes.yaml:1:12: alias *n is within what it stands for"},
		"merged itself": {"nodes:\n- &n {<<: *n}\n", "nodes.yaml:2:11: alias *n is within what it stands for"},
		"merge a text": {"defaults: {<<: text}\n",
			`nodes.yaml:1:16: <<: only mappings (key: value), by their aliases (<<: *name), can be merged: here is "text"`},
		"two merges": {"defaults:\n  <<: {image: a}\n  <<: {kernel: b}\n",
			"nodes.yaml:3:3: <<: again, is in line 2 already: write one, with a list: <<: [*a, *b]"},
		"twice": {"x-a: &a {kernel: k}\ndefaults:\n  <<: *a\n  image: a\n  image: b\n",
			"nodes.yaml:5:3: defaults: image: again, is in line 4 already"},
		"a list": {"x-a: &a [1]\nsubnets:\n- *a\n", "nodes.yaml:3:3: subnet is not a mapping (key: value): " +
			"here is a list"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tt.text), "nodes.yaml")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
}

// Aliases that multiply each other are refused, in no time, of whatever shape.
func TestAliasBombs(t *testing.T) {
	var lists, merges strings.Builder
	lists.WriteString("x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&lists, "x-%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	merges.WriteString("x-0: &m\n")
	for i := range 20_000 {
		fmt.Fprintf(&merges, "  k%d: v\n", i)
	}
	merges.WriteString("nodes:\n" + strings.Repeat("- <<: *m\n", 20_000))
	many := "x-0: &i [" + strings.Repeat("a,", 20_000) + "]\nnodes:\n" + strings.Repeat("- images: *i\n", 20_000)
	for name, text := range map[string]string{"lists": lists.String(), "merges": merges.String(), "images": many} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := Parse(strings.NewReader(text), "nodes.yaml")
			if err == nil || !strings.Contains(err.Error(), "multiply the file by more than 2097152 values") {
				t.Errorf("%.300v", err)
			}
			t.Logf("%v", time.Since(begin))
		})
	}
}
