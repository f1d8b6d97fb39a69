package build

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/initramfs"
)

// Whatever the base is, all that was in it is there after the graft, but for
// /init, ORDER and what the notes tell.
func FuzzGraft(f *testing.F) {
	f.Add([]byte("l\x00\x05f\x01\x02f\x02\x02"), byte(0))
	f.Add([]byte("d\x03\x01l\x01\x04h\x00\x03h\x02\x03f\x00\x09"), byte(1))
	names := []string{
		"init", "lib", "lib/modules", "bin", "usr", "usr/lib", "usr/lib/firmware", "etc", "etc/nodisk",
		"dev", "dev/console", "scripts/functions", "scripts", "usr/lib/dracut/hooks", "bin/sh", "nodisk",
		"lib/firmware",
	}
	targets := []string{"usr/lib", "/usr", ".", "..", "lib", "../../bin", "nowhere", "init", "/"}
	f.Fuzz(func(t *testing.T, ops []byte, flags byte) {
		var files []cpiotest.File
		for ; len(ops) >= 3 && len(files) < 200; ops = ops[3:] {
			name, n := names[int(ops[1])%len(names)], uint32(ops[2])
			switch ops[0] {
			case 'd':
				files = append(files, cpiotest.Dir(name))
			case 'l':
				files = append(files, cpiotest.Link(name, targets[n%uint32(len(targets))]))
			case 'h':
				files = append(files, cpiotest.HardLinks(n, string(ops[:3]), name, names[n%uint32(len(names))])...)
			case 'c':
				files = append(files, cpiotest.File{Name: name, Mode: initramfs.TypeChar | 0o600, Major: n & 7, Minor: 1})
			default:
				files = append(files, cpiotest.Regular(name, string(ops[:3])))
			}
		}
		b := &base{Base: Base{DriversOnly: flags&1 != 0}, tree: treeOf(t, cpiotest.Archive(files...)), origin: originOf(nil)}
		if n := b.tree.Get(initramfs.InitPath); !n.Is(initramfs.TypeFile) || b.tree.Get(initramfs.ConfigPath) != nil ||
			b.tree.Get(vendorInit) != nil {
			return // refused by readBase
		}
		var err error
		if b.DriversOnly {
			if b.hook, err = findHook(b.tree); err != nil {
				return
			}
		}
		own := append(initramfs.Skeleton(), initramfs.Entry{Name: initramfs.InitPath, Mode: initramfs.TypeFile | 0o755, Data: []byte("ours"), Part: initramfs.PartInit},
			initramfs.Entry{Name: initramfs.ConfigPath, Mode: initramfs.TypeFile | 0o600, Data: []byte("x")},
			initramfs.Entry{Name: "lib/modules/1.2/a.ko", Mode: initramfs.TypeFile | 0o644, Part: initramfs.PartModules, Data: []byte("ko")},
			initramfs.Entry{Name: "lib/firmware/f", Mode: initramfs.TypeFile | 0o644, Part: initramfs.PartFirmware, Data: []byte("fw")})
		out, err := b.graft(own)
		if err != nil {
			return
		}
		was := flatten(b.tree)
		var added []cpiotest.File
		for i, o := range slices.Concat(b.links, out) {
			e := cpiotest.File{
				Name: o.Name, Mode: o.Mode, Major: o.Major, Minor: o.Minor, NLink: 1, Ino: uint32(i),
				Data: o.Data,
			} //nolint:gosec // small
			if o.Mode&initramfs.TypeMask == initramfs.TypeLink {
				e.Target = string(o.Data)
			}
			added = append(added, e)
		}
		after := treeOf(t, slices.Concat(cpiotest.Archive(files...), cpiotest.Archive(added...)))
		is := flatten(after)
		for name, want := range was {
			// Names of one file may become fewer: compare all but their number.
			got := is[name]
			if name == initramfs.InitPath || strings.HasSuffix(name, "/ORDER") ||
				slices.Contains(b.notes, "/"+name+" of the base is replaced") {
				continue
			}
			if mode, rest, _ := strings.Cut(want, " "); got == "" || !strings.HasPrefix(got, mode+" ") ||
				got[strings.LastIndexByte(got, ' '):] != rest[strings.LastIndexByte(rest, ' '):] {
				t.Errorf("/%s was %s and is %s", name, want, got)
			}
		}
		for _, o := range out {
			if o.Mode&initramfs.TypeMask != initramfs.TypeFile {
				continue
			}
			if n := after.Get(o.Name); !n.Is(initramfs.TypeFile) || !bytes.Equal(n.Data, o.Data) {
				t.Errorf("/%s of ours is not there", o.Name)
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
