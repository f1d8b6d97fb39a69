package pxe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/nodisk/nodisk/internal/filelock"
	"github.com/nodisk/nodisk/internal/linescan"
)

// manifest is the file that lists what Write wrote: a line for each file, the
// SHA-256 of its contents and its path, as sha256sum writes them.
const manifest = ".nodisk-pxe"

// Changes are what Write did, each path below the directory, in order.
type Changes struct {
	Written, Removed []string
	Unchanged        int
	// Kept are files that are no longer wanted, but were changed by somebody
	// since they were written.
	Kept []string
}

// temporary begins the name of a file until all of it is there, with a number after it: "-" and 16 hexadecimal
// digits. No server asks for it; dnsmasq ignores it in its dhcp-hostsdir.
const temporary = ".#nodisk-pxe"

// isTemporary reports whether a file of that name is one that was not completed, by this or an older version, which
// gave all of them one name.
func isTemporary(name string) bool {
	rest, ok := strings.CutPrefix(name, temporary)
	return ok && (rest == "" || len(rest) == 17 && rest[0] == '-' && strings.Trim(rest[1:], "0123456789abcdef") == "")
}

// lockName is the file whose lock keeps other calls from the directory; it stays. The list cannot have the lock: it is
// replaced.
const lockName = manifest + ".lock"

// Write makes the directory hold the files: what differs is written, what an
// earlier call wrote and is no longer wanted is removed. Files of somebody
// else, and files that somebody has changed, are left alone; where one of them
// has the path of a wanted file, and other contents, nothing is written at all
// and the error names each, unless force is set.
//
// Files are replaced by renaming, so that a server never sends half of one.
// Nothing outside the directory is touched, also not through a symbolic link.
// When ctx ends, or there is no room, what is there is whole, and the next call
// goes on.
//
// One call at a time writes to a directory: another, also of another process, waits until it has ended, which tell is
// told; it may be nil.
func Write(ctx context.Context, directory string, files []File, force bool, tell func(s string)) (done Changes,
	err error) {
	defer func() { err = explain(err, directory) }()
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return Changes{}, fmt.Errorf("make directory: %w", err)
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return Changes{}, fmt.Errorf("open directory: %w", err)
	}
	defer root.Close() //nolint:errcheck // a directory
	unlock, err := lock(ctx, root, directory, tell)
	if err != nil {
		return Changes{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w := writer{root: root, force: force}
	if w.ours, err = readManifest(root); err != nil {
		return Changes{}, err
	}
	return w.write(ctx, files)
}

// explain says where there is no room: the names in the error are below the directory.
func explain(err error, directory string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w; the file system of %s has no room for it: make room there, or give another directory",
			err, directory)
	}
	return err
}

// lock keeps other calls from the directory until unlock is called.
func lock(ctx context.Context, root *os.Root, directory string, tell func(s string)) (unlock func() error, err error) {
	f, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", lockName, cause(err))
	}
	return filelock.Lock(ctx, f, func() {
		if tell != nil {
			tell("waiting for another nodisk pxe, which writes to " + directory)
		}
	})
}

type writer struct {
	root  *os.Root
	force bool
	ours  map[string][]string // path to the sums of what was written there
}

// write compares and then changes, all directories side by side: that is as
// far as the kernel lets files be made at once.
func (w *writer) write(ctx context.Context, files []File) (Changes, error) {
	wanted := make(map[string][]string, len(files))
	by := map[string]*place{}
	in := func(name string) *place {
		dir := path.Dir(name)
		if by[dir] == nil {
			by[dir] = &place{writer: w, dir: dir}
		}
		return by[dir]
	}
	for _, f := range files {
		wanted[f.Path] = nil
		p := in(f.Path)
		p.files = append(p.files, f)
	}
	for name := range w.ours {
		if _, ok := wanted[name]; !ok {
			p := in(name)
			p.stale = append(p.stale, name)
		}
	}
	places := slices.SortedFunc(maps.Values(by), func(a, b *place) int { return strings.Compare(a.dir, b.dir) })
	defer func() {
		for _, p := range places {
			p.close()
		}
	}()
	if err := each(places, func(p *place) error { return p.compare(ctx) }); err != nil {
		return Changes{}, err
	}
	done, pending := Changes{}, 0
	for _, p := range places {
		pending += len(p.change) + len(p.stale)
		done.Unchanged += len(p.files) - len(p.change)
		for i, f := range p.files {
			wanted[f.Path] = []string{p.sums[i]}
		}
	}
	if pending == 0 && len(w.ours) == len(wanted) {
		return done, nil
	}
	top := place{writer: w, dir: ".", root: w.root}
	if err := top.sweep(); err != nil {
		return Changes{}, err
	}
	// Should this end halfway, the next call knows the files of both.
	both := map[string][]string{}
	for p, sums := range w.ours {
		both[p] = slices.Clone(sums)
	}
	for p, sums := range wanted {
		both[p] = append(both[p], sums...)
	}
	if err := top.replace(manifest, manifestText(both)); err != nil {
		return Changes{}, err
	}
	err := each(places, func(p *place) error { return p.apply(ctx) })
	for _, p := range places {
		done.Written = append(done.Written, p.done.Written...)
		done.Removed = append(done.Removed, p.done.Removed...)
		done.Kept = append(done.Kept, p.done.Kept...)
	}
	for _, list := range [][]string{done.Written, done.Removed, done.Kept} {
		slices.Sort(list)
	}
	if err != nil {
		return done, fmt.Errorf("%w: %d of %d files are as they should be, each whole: run it again to go on",
			err, done.Unchanged+len(done.Written), len(files))
	}
	return done, top.replace(manifest, manifestText(wanted))
}

// each calls f for all places at once; their errors are joined, each once.
func each(places []*place, f func(*place) error) error {
	errs := make([]error, len(places))
	var all sync.WaitGroup
	for i, p := range places {
		all.Go(func() { errs[i] = f(p) })
	}
	all.Wait()
	var told []string
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool {
		if err == nil || slices.Contains(told, err.Error()) {
			return true
		}
		told = append(told, err.Error())
		return false
	})...)
}

// manifestText lists the files by path, each with its sums.
func manifestText(files map[string][]string) []byte {
	var b bytes.Buffer
	for _, p := range slices.Sorted(maps.Keys(files)) {
		sums := slices.Compact(slices.Sorted(slices.Values(files[p])))
		for _, s := range sums {
			b.WriteString(s + "  " + p + "\n")
		}
	}
	return b.Bytes()
}

func readManifest(root *os.Root) (map[string][]string, error) {
	ours := map[string][]string{}
	text, err := root.ReadFile(manifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ours, nil
	case err != nil:
		return nil, fmt.Errorf("read list of own files: %w", err)
	}
	list := linescan.New(bytes.NewReader(text), linescan.Longest)
	for list.Scan() {
		sum, name, ok := strings.Cut(list.Text(), "  ")
		if !ok || len(sum) != 2*sha256.Size || !filepath.IsLocal(name) || name == manifest {
			return nil, fmt.Errorf("read list of own files %s: line %q is not a SHA-256 and a path: remove the list, "+
				"and give --force once", manifest, clip(list.Text()))
		}
		ours[name] = append(ours[name], sum)
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("read list of own files %s: %w", manifest, err)
	}
	return ours, nil
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
