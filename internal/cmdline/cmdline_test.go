package cmdline

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		want Args
	}{
		"empty": {line: " \n"},
		"flag and pair": {line: "quiet ip=dhcp\n", want: Args{{Key: "quiet"}, {Key: "ip", Value: "dhcp",
			HasValue: true}}},
		"repeated key keeps order": {
			line: "ip=a root=b ip=c",
			want: Args{{"ip", "a", true}, {"root", "b", true}, {"ip", "c", true}},
		},
		"empty value":       {line: "rd.shell=", want: Args{{"rd.shell", "", true}}},
		"value with equals": {line: "root=LABEL=data", want: Args{{"root", "LABEL=data", true}}},
		"quoted value": {line: `dyndbg="file a +p; file b" x`, want: Args{{"dyndbg", "file a +p; file b", true},
			{Key: "x"}}},
		"quoted word":       {line: `"opt=a b" c`, want: Args{{"opt", "a b", true}, {Key: "c"}}},
		"quote never ends":  {line: `foo="`, want: Args{{"foo", "", true}}},
		"init arguments":    {line: `a -- single "b c"`, want: Args{{Key: "a"}}},
		"quote in the word": {line: `a=b"c d"e`, want: Args{{"a", `b"c d"e`, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Parse(tt.line)); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfig(t *testing.T) {
	got, err := ParseConfig(strings.NewReader("# comment\n\nip = dhcp\nnodisk.log=debug\nrd.neednet\nname=\"a b\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Args{{"ip", "dhcp", true}, {"nodisk.log", "debug", true}, {Key: "rd.neednet"}, {"name", "a b", true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseConfig (-want +got):\n%s", diff)
	}
	_, err = ParseConfig(strings.NewReader("=x\nok=1\ntwo words=1\n"))
	if err == nil || !strings.Contains(err.Error(), "line 1:") || !strings.Contains(err.Error(), "line 3:") {
		t.Errorf("bad lines 1 and 3 not both reported: %v", err)
	}
}

// What editors of other systems write is read, or refused: no key is lost.
func TestParseConfigOfOtherSystems(t *testing.T) {
	want := Args{{"nodisk.onfail", "reboot", true}, {"ip", "dhcp", true}}
	for name, text := range map[string]string{
		"byte order mark":     "\ufeffnodisk.onfail=reboot\nip=dhcp\n",
		"two files":           "nodisk.onfail=reboot\n\ufeffip=dhcp\n",
		"CRLF":                "nodisk.onfail=reboot\r\n\r\nip=dhcp\r\n",
		"CRLF, mark, no end":  "\ufeff# made by hand\r\nnodisk.onfail=reboot\r\nip=dhcp",
		"only a mark, a line": "\ufeff\nnodisk.onfail=reboot\nip=dhcp\n",
	} {
		got, err := ParseConfig(strings.NewReader(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if got := HasByteOrderMark([]byte(text)); got != strings.Contains(text, "\ufeff") {
			t.Errorf("%s: HasByteOrderMark %v", name, got)
		}
	}
	for text, want := range map[string]string{
		"\xff\xfei\x00p\x00=\x00":              "in UTF-16: save it as UTF-8",
		"\xfe\xff\x00i\x00p":                   "in UTF-16: save it as UTF-8",
		"ip=dhcp\ni\x00p=\x00":                 "line 2: it has a NUL byte",
		"ip=dhcp\rnodisk.onfail=reboot\r\n":    "line 1: it has a carriage return inside",
		"root=dhcp\nn\u00f6disk.log=debug\n":   "line 2: the key \"n\u00f6disk.log\" has a character that no key has",
		"ip\u200b=dhcp\n":                      "write it in ASCII",
		"a=1\nb=" + strings.Repeat("x", 1<<17): "line 2 is longer than 64 KiB",
	} {
		_, err := ParseConfig(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "bufio") {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
}

func TestMerge(t *testing.T) {
	got := Merge(Parse("ip=a ip=b log=1 mod-a.x=1"), Parse("ip=c mod_a.x=2"))
	if diff := cmp.Diff(Parse("log=1 ip=c mod_a.x=2"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLookups(t *testing.T) {
	a := Parse("ip=a quiet ip=b rd.shell=0 no-dash=1")
	if diff := cmp.Diff([]string{"a", "b"}, a.All("ip")); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if v, ok := a.Last("ip"); v != "b" || !ok {
		t.Errorf("Last: %q, %v", v, ok)
	}
	if !a.Has("quiet") || !a.Has("no_dash") || a.Has("absent") {
		t.Error("Has is wrong about quiet, no_dash or absent")
	}
	if on, err := a.Bool("rd.shell", true); on || err != nil {
		t.Errorf("Bool rd.shell: %v, %v", on, err)
	}
	_, err := Parse("rd.shell=maybe").Bool("rd.shell", false)
	var ve *ValueError
	if !errors.As(err, &ve) || ve.Error() != "rd.shell=maybe: is not a switch; write 1 or 0" {
		t.Errorf("Bool maybe: %v", err)
	}
}

// What Parse splits, String must write back so that it splits the same way,
// as long as no quote is inside a word: the kernel has no way to escape one.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a=b c", `foo="`, `"a b"=c`, "-- x", "a=\"b c\" --", "\x00=\xff", "=", `""`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := Parse(line)
		if strings.Contains(line, `"`) {
			return
		}
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = a.String()
		}
		if diff := cmp.Diff(args, Parse(strings.Join(words, " "))); diff != "" {
			t.Errorf("%q does not survive a round trip (-first +second):\n%s", line, diff)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add("a=b\n# c\n\nd")
	f.Add("=")
	f.Fuzz(func(t *testing.T, text string) {
		args, err := ParseConfig(strings.NewReader(text))
		for _, a := range args {
			if a.Key == "" {
				t.Errorf("an empty key from %q (error %v)", text, err)
			}
		}
	})
}
