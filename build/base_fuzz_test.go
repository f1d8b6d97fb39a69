package build

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// Whatever the base is, all that was in it is there after the graft, but for
// /init, ORDER and what the notes tell.
func FuzzGraft(f *testing.F) {
	f.Add([]byte("l\x00\x05f\x01\x02f\x02\x02"), byte(0))
	f.Add([]byte("d\x03\x01l\x01\x04h\x00\x03h\x02\x03f\x00\x09"), byte(1))
	names := []string{"init", "lib", "lib/modules", "bin", "usr", "usr/lib", "usr/lib/firmware", "etc", "etc/nodisk",
		"dev", "dev/console", "scripts/functions", "scripts", "usr/lib/dracut/hooks", "bin/sh", "nodisk",
		"lib/firmware"}
	targets := []string{"usr/lib", "/usr", ".", "..", "lib", "../../bin", "nowhere", "init", "/"}
	f.Fuzz(func(t *testing.T, ops []byte, flags byte) {
		var files []archived
		for ; len(ops) >= 3 && len(files) < 200; ops = ops[3:] {
			name, n := names[int(ops[1])%len(names)], uint32(ops[2])
			switch ops[0] {
			case 'd':
				files = append(files, dirEntry(name))
			case 'l':
				files = append(files, linkEntry(name, targets[n%uint32(len(targets))]))
			case 'h':
				files = append(files, hardLinks(n, string(ops[:3]), name, names[n%uint32(len(names))])...)
			case 'c':
				files = append(files, archived{Name: name, Mode: typeChar | 0o600, Major: n & 7, Minor: 1})
			default:
				files = append(files, fileEntry(name, string(ops[:3])))
			}
		}
		b := &base{Base: Base{DriversOnly: flags&1 != 0}, tree: treeOf(t, newc(files...)), origin: originOf(nil)}
		if n := b.tree.get(initPath); !n.is(typeFile) || b.tree.get(configPath) != nil || b.tree.get(vendorInit) != nil {
			return // refused by readBase
		}
		var err error
		if b.DriversOnly {
			if b.hook, err = findHook(b.tree); err != nil {
				return
			}
		}
		own := append(skeleton(), file{name: initPath, mode: typeFile | 0o755, data: []byte("ours"), part: PartInit}, file{name: configPath, mode: typeFile | 0o600, data: []byte("x")},
			file{name: "lib/modules/1.2/a.ko", mode: typeFile | 0o644, part: PartModules, data: []byte("ko")},
			file{name: "lib/firmware/f", mode: typeFile | 0o644, part: PartFirmware, data: []byte("fw")})
		out, err := b.graft(own)
		if err != nil {
			return
		}
		was := flatten(b.tree)
		var added []archived
		for i, o := range slices.Concat(b.links, out) {
			e := archived{Name: o.name, Mode: o.mode, Major: o.major, Minor: o.minor, NLink: 1, Ino: uint32(i), Data: o.data} //nolint:gosec // small
			if o.mode&typeMask == typeLink {
				e.Target = string(o.data)
			}
			added = append(added, e)
		}
		after := treeOf(t, slices.Concat(newc(files...), newc(added...)))
		is := flatten(after)
		for name, want := range was {
			// Names of one file may become fewer: compare all but their number.
			got := is[name]
			if name == initPath || strings.HasSuffix(name, "/ORDER") ||
				slices.Contains(b.notes, "/"+name+" of the base is replaced") {
				continue
			}
			if mode, rest, _ := strings.Cut(want, " "); got == "" || !strings.HasPrefix(got, mode+" ") ||
				got[strings.LastIndexByte(got, ' '):] != rest[strings.LastIndexByte(rest, ' '):] {
				t.Errorf("/%s was %s and is %s", name, want, got)
			}
		}
		for _, o := range out {
			if o.mode&typeMask != typeFile {
				continue
			}
			if n := after.get(o.name); !n.is(typeFile) || !bytes.Equal(n.data, o.data) {
				t.Errorf("/%s of ours is not there", o.name)
			}
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	f.Add([]byte(originOf([]byte("x")).String()))
	f.Add([]byte("bytes -1\nsha256 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := parseOrigin(text)
		if err != nil {
			return
		}
		if again, err := parseOrigin([]byte(o.String())); err != nil || again != o {
			t.Errorf("%+v becomes %+v, %v", o, again, err)
		}
	})
}
