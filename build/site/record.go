package site

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Record is the memory of which files were made for which kernel: a directory with a
// file for each release, in the form of sha256sum(1), "SHA256  PATH" a line. What is
// removed with a kernel is what its file names and nobody has changed since: never
// somebody else's file.
//
// Kernels of one release may be installed in several roots. The lines of those of another
// root than / follow one "# root DIR", a comment for sha256sum(1).
type Record struct {
	Dir string
	// Root is the root that holds the kernels, absolute. Empty: / for what is added, and any
	// for what is removed.
	Root string
}

// A Made is a file that was made for a kernel.
type Made struct {
	SHA256 string // hexadecimal
	Path   string // absolute
	Root   string // that has the kernel, absolute
}

// rootLine begins a line that says which root has the kernels of the lines after it.
const rootLine = "# root "

// Add says that files are of a release, and no longer of any other.
func (r Record) Add(release string, paths ...string) error {
	if err := checkRelease(release); err != nil {
		return err
	}
	root := cmp.Or(r.Root, "/")
	if strings.ContainsAny(root, "\n\r") {
		return fmt.Errorf("record %q: a line feed in the name of a root: give it another name", root)
	}
	var made []Made
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("record %s: %w", path, err)
		}
		if strings.ContainsAny(abs, "\n\r") {
			return fmt.Errorf("record %q: a line feed in the name of an image: give it another name", abs)
		}
		sum, err := sumOf(abs)
		if err != nil {
			return fmt.Errorf("record %s: %w", path, err)
		}
		made = append(made, Made{sum, abs, root})
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil { //nolint:gosec // which images there are is no secret
		return fmt.Errorf("record images: %w", err)
	}
	releases, err := r.Releases()
	if err != nil {
		return err
	}
	for _, other := range slices.Compact(slices.Sorted(slices.Values(append(releases, release)))) {
		list, err := r.Of(other)
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(slices.Clone(list), func(m Made) bool {
			return slices.ContainsFunc(made, func(n Made) bool { return n.Path == m.Path })
		})
		switch {
		case other == release:
			rest = append(rest, made...)
		case len(rest) == len(list):
			continue
		}
		if err := r.write(other, rest); err != nil {
			return err
		}
	}
	return nil
}

// Releases lists those that files are recorded for, sorted.
func (r Record) Releases() ([]string, error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the record of images: %w", err)
	}
	var releases []string
	for _, e := range entries {
		if e.Type().IsRegular() && checkRelease(e.Name()) == nil {
			releases = append(releases, e.Name())
		}
	}
	return releases, nil
}

// Of lists the files of a release.
func (r Record) Of(release string) ([]Made, error) {
	at := filepath.Join(r.Dir, release)
	data, err := os.ReadFile(at)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the record of images: %w", err)
	}
	var list []Made
	root := "/"
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		if dir, ok := strings.CutPrefix(lines.Text(), rootLine); ok && filepath.IsAbs(dir) {
			root = dir
			continue
		}
		sum, path, ok := strings.Cut(lines.Text(), "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size || !filepath.IsAbs(path) {
			return nil, fmt.Errorf("read the record of images: %s:%d: not \"SHA256  /PATH\": remove the line", at, n)
		}
		list = append(list, Made{sum, path, root})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the record of images: %s: %w", at, err)
	}
	return list, nil
}

// A Removal is what became of one file of a release.
type Removal struct {
	Path string
	// Why says why the file stays; empty: it is removed.
	Why string
}

// Remove removes the files of a release, in the root of the record, and forgets them. A file that was changed since
// stays, as somebody else's. With dry nothing is done.
func (r Record) Remove(release string, dry bool) ([]Removal, error) {
	if err := checkRelease(release); err != nil {
		return nil, err
	}
	list, err := r.Of(release)
	if err != nil {
		return nil, err
	}
	var (
		done []Removal
		kept []Made
		errs []error
	)
	for _, m := range list {
		if r.Root != "" && m.Root != r.Root {
			kept = append(kept, m)
			continue
		}
		sum, err := sumOf(m.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody was quicker
			continue
		case err == nil && sum != m.SHA256:
			done = append(done, Removal{m.Path, "it was changed since nodisk made it"})
			continue
		case err == nil && !dry:
			err = os.Remove(m.Path)
		}
		if err != nil {
			errs, kept = append(errs, fmt.Errorf("remove image: %w", err)), append(kept, m)
			continue
		}
		done = append(done, Removal{Path: m.Path})
	}
	if !dry {
		errs = append(errs, r.write(release, kept))
	}
	return done, errors.Join(errs...)
}

// write replaces the file of a release, or removes it when nothing is left to say.
func (r Record) write(release string, list []Made) error {
	at := filepath.Join(r.Dir, release)
	if len(list) == 0 {
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("record images: %w", err)
		}
		return nil
	}
	slices.SortFunc(list, func(a, b Made) int { return cmp.Or(strings.Compare(a.Root, b.Root), strings.Compare(a.Path, b.Path)) })
	var text bytes.Buffer
	root := "/" // the first in that order
	for _, m := range list {
		if m.Root != root {
			root = m.Root
			fmt.Fprintf(&text, "%s%s\n", rootLine, root)
		}
		fmt.Fprintf(&text, "%s  %s\n", m.SHA256, m.Path)
	}
	f, err := os.CreateTemp(r.Dir, ".new-*")
	if err != nil {
		return fmt.Errorf("record images: %w", err)
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), at)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record images: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// checkRelease keeps what is not the name of a file out.
func checkRelease(release string) error {
	if release == "" || release[0] == '.' || strings.ContainsAny(release, "/\x00") {
		return fmt.Errorf("record images: %q is not a kernel's release", release)
	}
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
