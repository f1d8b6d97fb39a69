package pxe

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// manifest is the file that lists what Write wrote: a line for each file, the
// SHA-256 of its contents and its path, as sha256sum writes them.
const manifest = ".nodisk-pxe"

// Changes are what Write did, each path below the folder.
type Changes struct {
	Written, Removed []string
	Unchanged        int
	// Kept are files that are not wanted any more, but were changed by somebody
	// since they were written.
	Kept []string
}

// Write makes the folder hold the files: what differs is written, what an
// earlier call wrote and is not wanted any more is removed. Files of somebody
// else, and files that somebody has changed, are left alone; where one of them
// has the path of a wanted file, and other contents, nothing is written at all
// and the error names each, unless force is set.
//
// Files are replaced by renaming, so that a server never sends half of one.
// Nothing outside the folder is touched, also not through a symbolic link.
func Write(folder string, files []File, force bool) (Changes, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Changes{}, fmt.Errorf("make folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return Changes{}, fmt.Errorf("open folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // a folder
	w := writer{root: root, force: force}
	if w.ours, err = readManifest(root); err != nil {
		return Changes{}, err
	}
	return w.write(files)
}

type writer struct {
	root  *os.Root
	force bool
	ours  map[string][]string // path to the sums of what was written there
	done  Changes
}

func (w *writer) write(files []File) (Changes, error) {
	var (
		errs   []error
		change []File
	)
	wanted := map[string][]string{}
	for _, f := range files {
		sum := sumOf(f.Data)
		wanted[f.Path] = []string{sum}
		have, err := w.sum(f.Path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case have == sum:
			w.done.Unchanged++
		case have != "" && !w.force && !slices.Contains(w.ours[f.Path], have):
			errs = append(errs, fmt.Errorf("write %s: it is there, and not as nodisk pxe has written it: move your changes to nodes.yaml, or give --force to lose them", f.Path))
		default:
			change = append(change, f)
		}
	}
	if len(errs) > 0 {
		return Changes{}, errors.Join(errs...)
	}
	var stale []string
	for p := range w.ours {
		if wanted[p] == nil {
			stale = append(stale, p)
		}
	}
	slices.Sort(stale)
	if len(change)+len(stale) == 0 && len(w.ours) == len(wanted) {
		return w.done, nil
	}
	// Should this end halfway, the next call knows the files of both.
	both := map[string][]string{}
	for p, sums := range w.ours {
		both[p] = slices.Clone(sums)
	}
	for p, sums := range wanted {
		both[p] = append(both[p], sums...)
	}
	if err := w.replace(manifest, manifestText(both)); err != nil {
		return w.done, err
	}
	for _, f := range change {
		if err := w.replace(f.Path, f.Data); err != nil {
			return w.done, err
		}
		w.done.Written = append(w.done.Written, f.Path)
	}
	for _, p := range stale {
		if err := w.remove(p); err != nil {
			return w.done, err
		}
	}
	return w.done, w.replace(manifest, manifestText(wanted))
}

// sum is that of a file's contents, empty when there is none.
func (w *writer) sum(name string) (string, error) {
	text, err := w.root.ReadFile(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read what is there: %w", err)
	}
	return sumOf(text), nil
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (w *writer) replace(name string, text []byte) error {
	if dir := path.Dir(name); dir != "." {
		if err := w.root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return fmt.Errorf("make folder of %s: %w", name, err)
		}
	}
	// In the same folder, and of a name that no server asks for. dnsmasq
	// ignores it in its dhcp-hostsdir.
	temporary := path.Join(path.Dir(name), ".#"+path.Base(name))
	if err := w.root.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	// umask may have taken away what a TFTP server needs.
	err := w.root.Chmod(temporary, 0o644)
	if err == nil {
		err = w.root.Rename(temporary, filepath.FromSlash(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), w.root.Remove(temporary))
	}
	return nil
}

// remove takes a file away that is as it was written.
func (w *writer) remove(name string) error {
	have, err := w.sum(name)
	switch {
	case err != nil:
		return err
	case have == "":
		return nil
	case !slices.Contains(w.ours[name], have):
		w.done.Kept = append(w.done.Kept, name)
		return nil
	}
	if err := w.root.Remove(filepath.FromSlash(name)); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	w.done.Removed = append(w.done.Removed, name)
	return nil
}

func manifestText(files map[string][]string) []byte {
	var lines []string
	for p, sums := range files {
		for _, s := range sums {
			lines = append(lines, s+"  "+p+"\n")
		}
	}
	// By path, as it is behind sums of one length.
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:]+a, b[64:]+b) })
	return []byte(strings.Join(slices.Compact(lines), ""))
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
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || len(sum) != 2*sha256.Size || !filepath.IsLocal(name) || name == manifest {
			return nil, fmt.Errorf("read list of own files %s: line %q is not a SHA-256 and a path: remove the list, and give --force once", manifest, clip(lines.Text()))
		}
		ours[name] = append(ours[name], sum)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read list of own files %s: %w", manifest, err)
	}
	return ours, nil
}
