package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/internal/quantity"
	"github.com/nodisk/nodisk/modload/unpack"
)

// NoFirmware as one of Spec.Firmware is an image without firmware.
const NoFirmware = "none"

// firmwareDir is where the kernel looks for firmware.
const firmwareDir = "lib/firmware"

// firmwareMax bounds one unpacked firmware file; the largest known have some
// ten MiB.
const firmwareMax = 256 << 20

// A firmwareSearch knows where firmware is, in the kernel's order of search.
type firmwareSearch struct {
	dirs []string // folders that exist
}

// firmwareRoots are the directories to search: those that were asked for, else
// lib/firmware beside the module tree.
func (s Spec) firmwareRoots(t modtree.Dir) ([]string, error) {
	if slices.Contains(s.Firmware, NoFirmware) {
		if len(s.Firmware) > 1 {
			return nil, fmt.Errorf("find firmware: --firmware %s stands alone", NoFirmware)
		}
		return nil, nil
	}
	if len(s.Firmware) == 0 {
		root, ok := strings.CutSuffix(t.Path, "/"+initramfs.ModulesDir+"/"+t.Release)
		if !ok {
			return nil, nil
		}
		return []string{root + "/" + firmwareDir}, nil
	}
	for _, dir := range s.Firmware {
		if info, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("find firmware: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("find firmware: %s is not a directory; a single file goes in by --add FILE:/%s/NAME",
				dir, firmwareDir)
		}
	}
	return s.Firmware, nil
}

// firmware finds the firmware of the image's modules.
func (b *builder) firmware(ctx context.Context, t modtree.Dir, modules []initramfs.Entry) ([]initramfs.Entry, error) {
	roots, err := b.spec.firmwareRoots(t)
	if err != nil || slices.Contains(b.spec.Firmware, NoFirmware) {
		return nil, err
	}
	set, err := newFirmwareSearch(roots, t.Release).firmware(ctx, modules)
	b.report.Notes = append(b.report.Notes, set.note(roots)...)
	return set.files, err
}

// newFirmwareSearch lists the directories that the kernel of a release searches
// below each root (fw_path in drivers/base/firmware_loader/main.c).
func newFirmwareSearch(roots []string, release string) firmwareSearch {
	var s firmwareSearch
	for _, root := range roots {
		for _, below := range []string{"updates/" + release, "updates", release, ""} {
			dir := filepath.Join(root, below)
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				s.dirs = append(s.dirs, dir)
			}
		}
	}
	return s
}

// firmwareEndings are those of files, in the order in which the kernel tries
// them, each in all directories (_request_firmware).
func firmwareEndings() []string { return []string{"", ".zst", ".xz"} }

// find returns the file for a name, or "".
func (s firmwareSearch) find(name string) string {
	for _, ending := range firmwareEndings() {
		for _, dir := range s.dirs {
			at := filepath.Join(dir, name+ending)
			if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
				return at
			}
		}
	}
	return ""
}

// names turns the firmware= field of a module into names: one, or those that
// match where it is a pattern ("amdgpu/*.bin", Linux 6.15).
func (s firmwareSearch) names(field string) []string {
	if !strings.ContainsAny(field, "*?[") {
		return []string{field}
	}
	var names []string
	for _, dir := range s.dirs {
		found, err := fs.Glob(os.DirFS(dir), field+"*") // for the endings
		if err != nil {
			continue // a bad pattern matches nothing
		}
		for _, name := range found {
			for _, ending := range slices.Backward(firmwareEndings()) {
				plain := strings.TrimSuffix(name, ending)
				if ok, _ := path.Match(field, plain); ok { // the pattern has just been used
					names = append(names, plain)
					break
				}
			}
		}
	}
	return namelist.Sorted(names)
}

// A firmwareSet is the firmware of an image.
type firmwareSet struct {
	files []initramfs.Entry
	// missing are the fields nothing was found for, by module.
	missing map[string][]string
	named   int // fields of all modules, each name once
	lacking int // those of them that are missing
}

// firmware finds, reads and unpacks what the modules of an image name. The
// kernel reads plain files whatever its configuration, and the image is compressed
// as a whole. A link stays one when its target is in the image under another name.
func (s firmwareSearch) firmware(ctx context.Context, modules []initramfs.Entry) (firmwareSet, error) {
	set := firmwareSet{missing: make(map[string][]string)}
	sources := make(map[string]string) // by name
	fields := make(map[string]bool)
	for _, f := range modules {
		module, err := ko.Parse(f.Data)
		if err != nil {
			continue // whether it is a module is checked elsewhere
		}
		for _, field := range module.Firmware() {
			fresh := !fields[field]
			fields[field] = true
			found := false
			for _, name := range s.names(field) {
				if !fs.ValidPath(name) || name == "." {
					continue // leads out of the directory
				}
				if _, known := sources[name]; !known {
					sources[name] = s.find(name)
				}
				found = found || sources[name] != ""
			}
			if !found {
				module := ko.ModuleName(f.Name)
				set.missing[module] = append(set.missing[module], field)
				if fresh {
					set.lacking++
				}
			}
		}
	}
	set.named = len(fields)
	var err error
	set.files, err = readFirmware(ctx, sources)
	return set, err
}

// readFirmware reads the files of names. Files that are one on disk become one
// file and links.
func readFirmware(ctx context.Context, sources map[string]string) ([]initramfs.Entry, error) {
	type item struct{ name, at, file string }
	var items []item
	for name, at := range sources {
		if at == "" {
			continue
		}
		file, err := filepath.EvalSymlinks(at)
		if err != nil {
			return nil, fmt.Errorf("read firmware %s: %w", name, err)
		}
		items = append(items, item{name, at, file})
	}
	slices.SortFunc(items, func(a, b item) int {
		// What is not a link first: it is what the others lead to.
		if linkA, linkB := a.at != a.file, b.at != b.file; linkA != linkB {
			if linkA {
				return 1
			}
			return -1
		}
		return strings.Compare(a.name, b.name)
	})
	files := make([]initramfs.Entry, len(items))
	first := make(map[string]string, len(items)) // by file
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, it := range items {
		f := initramfs.Entry{
			Name: firmwareDir + "/" + it.name,
			Mode: initramfs.TypeFile | 0o644,
			Part: initramfs.PartFirmware,
		}
		target, taken := first[it.file]
		if taken {
			rel, err := filepath.Rel(path.Dir(it.name), target)
			if err != nil {
				return nil, fmt.Errorf("link firmware %s: %w", it.name, err)
			}
			f.Mode, f.Data = initramfs.TypeLink|0o777, []byte(rel)
			files[i] = f
			continue
		}
		first[it.file] = it.name
		group.Go(func() (err error) {
			if err = ctx.Err(); err != nil {
				return err
			}
			if f.Data, err = readFirmwareFile(it.at); err != nil {
				return fmt.Errorf("read firmware %s: %w", it.name, err)
			}
			files[i] = f
			return nil
		})
	}
	return files, group.Wait()
}

func readFirmwareFile(at string) ([]byte, error) {
	f, err := infile.Regular(at)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain := io.Reader(f)
	if ending := path.Ext(at); ending == ".xz" || ending == ".zst" {
		if plain, err = unpack.Module(at, f); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", at, err)
		}
	}
	data, err := io.ReadAll(io.LimitReader(plain, firmwareMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack %s: %w", at, err)
	case len(data) > firmwareMax:
		return nil, errors.New(at + " is larger than any firmware known")
	}
	return data, nil
}

// note is one line about what was not found, or none. Most modules name
// firmware of adapters or revisions that a cluster does not have, so it is not a warning.
func (s firmwareSet) note(roots []string) []string {
	if len(s.missing) == 0 {
		return nil
	}
	var modules, packages []string
	for module := range s.missing {
		modules = append(modules, module)
		if p := firmwarePackage(module); p != "" {
			packages = append(packages, p)
		}
	}
	slices.Sort(modules)
	where := "there, because no directory is known (--firmware DIR)"
	if roots != nil {
		where = "in " + strings.Join(roots, ", ")
	}
	text := fmt.Sprintf(
		"firmware: %d of %s that modules name are not %s: %s",
		s.lacking,
		quantity.Plural(s.named, "file"),
		where,
		namelist.Shorten(modules, 12),
	)
	if packages != nil {
		text += "; on Debian in " + strings.Join(namelist.Sorted(packages), ", ")
	}
	return []string{text + "; matters only for adapters that the nodes have"}
}

// firmwarePackage is the package of Debian 12 with the firmware of a module,
// empty when it is not known.
func firmwarePackage(module string) string {
	switch module {
	case "bnx2", "bnx2x":
		return "firmware-" + module
	case "qed", "qede", "qla2xxx", "qla4xxx", "qlcnic", "netxen_nic":
		return "firmware-qlogic"
	case "nfp":
		return "firmware-netronome"
	case "r8169", "r8152":
		return "firmware-realtek"
	case "myri10ge":
		return "firmware-myricom"
	case "bna", "bfa":
		return "firmware-brocade"
	case "liquidio":
		return "firmware-cavium"
	case "tg3", "e100", "ice", "cxgb3", "cxgb4":
		return "firmware-misc-nonfree"
	case "cfg80211":
		return "wireless-regdb"
	}
	return ""
}
