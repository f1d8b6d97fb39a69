package ko_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/testenv"
)

// What is read from the beginning of a module's file is what the whole says, whatever lies before it.
func TestReadInfo(t *testing.T) {
	module := kotest.Module{
		Name: "a", Vermagic: "6.9.1 SMP ", Depends: "b,c", Pad: 4000,
		Info: []ko.Field{{Key: "alias", Value: "pci:v0000*"}, {Key: "description", Value: "two\nlines"},
			{Key: "rhelversion", Value: "9.4"}},
	}.Bytes()
	want, err := ko.ParseInfo(module)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(module, []byte("alias=pci"))
	after := bytes.LastIndex(module, []byte("vermagic=")) + len("vermagic=6.9.1 SMP \x00")
	for name, before := range map[string]string{
		"as it is": "", "a zero": "\x00", "no zero": "\xff\x01\x7f", "a letter": "\xff\x00A", "digits": "\x00\x0012",
		"text": "\x00what",
	} {
		data := bytes.Clone(module[:after])
		copy(data[at-len(before):], before)
		for kind, tail := range map[string]string{"code": "\xf3\x0f\x1e\xfa", "padded": strings.Repeat("\x00",
			20) + "\x01", "nothing": ""} {
			got, _, err := ko.ReadInfo(iotest.HalfReader(bytes.NewReader(append(slices.Clip(data), tail...))), nil)
			if err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-whole +beginning):\n%s", name, kind, diff)
			}
		}
	}
	for name, data := range map[string][]byte{"text": []byte("what is this"), "empty": nil, "cut off": module[:at+30]} {
		if info, _, err := ko.ReadInfo(bytes.NewReader(data), nil); err == nil {
			t.Errorf("%s: %v", name, info)
		}
	}
}

// The modules of a distribution's kernel say at their beginning what they say as a whole.
func TestReadInfoOfDistribution(t *testing.T) {
	root := os.Getenv("NODISK_KERNEL_DIR")
	if root == "" {
		root = filepath.Join("..", "..", ".cache", "kernel")
	}
	found, err := filepath.Glob(filepath.Join(root, "lib", "modules", "*", "kernel", "drivers", "*", "*", "*.ko"))
	if err != nil || len(found) == 0 {
		testenv.Missing(t, "a kernel's modules in "+root+" (NODISK_KERNEL_DIR)")
	}
	var buf []byte
	differ := 0
	for _, at := range found {
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ko.ParseInfo(data)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		var got []ko.Field
		if got, buf, err = ko.ReadInfo(bytes.NewReader(data), buf); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if diff := cmp.Diff(relevant(want), relevant(got)); diff != "" {
			if differ++; differ <= 5 {
				t.Errorf("%s (-whole +beginning):\n%s", at, diff)
			}
		}
	}
	t.Logf("%d of %d modules differ", differ, len(found))
}

// relevant are the records that indexes are made of.
func relevant(info []ko.Field) []ko.Field {
	var list []ko.Field
	for _, f := range info {
		switch f.Key {
		case "alias", "depends", "intree", "softdep", "vermagic", "weakdep":
			list = append(list, f)
		}
	}
	return list
}

func FuzzReadInfo(f *testing.F) {
	f.Add(kotest.Module{Name: "a", Vermagic: "6.9.1 ", Info: []ko.Field{{Key: "alias", Value: "x"}}}.Bytes())
	f.Add([]byte("\x7fELF\x00alias=a\x00vermagic=\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, _, err := ko.ReadInfo(bytes.NewReader(data), nil)
		if err == nil && len(info) == 0 {
			t.Error("no record, and no error")
		}
	})
}
