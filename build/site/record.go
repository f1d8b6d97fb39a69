package site

import (
	"bytes"
	"cmp"
	"context"
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
	"syscall"

	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/linescan"
	"github.com/nodisk/nodisk/internal/outfile"
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
	// Root is the root that holds the kernels, absolute, by whatever name. Empty: / for what is
	// added, and any for what is removed.
	Root string
	// Tell is told what is waited for; nil: nobody is.
	Tell func(s string)
}

// A Made is a file that was made for a kernel.
type Made struct {
	SHA256 string // hexadecimal
	Path   string // absolute, of a regular file, not of a symbolic link that leads to one
	Root   string // that has the kernel, absolute
}

// SameRoot reports whether two paths are one root: one text, or one directory, as where a link leads to it.
func SameRoot(a, b string) bool {
	if a == b {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// Place is what a record calls a file, whether it is there or not: absolute, and where symbolic links lead.
func Place(path string) (string, error) {
	at, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		var dir string
		if dir, err = filepath.EvalSymlinks(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			return filepath.Abs(path)
		}
		at = filepath.Join(dir, filepath.Base(path))
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(at)
}

// rootLine begins a line that says which root has the kernels of the lines after it.
const rootLine = "# root "

// Add says that files are of a release, and no longer of any other. What is recorded of a path is where its symbolic
// links lead: they are their maker's, and the file is nodisk's.
func (r Record) Add(ctx context.Context, release string, paths ...string) (err error) {
	if err := checkRelease(release); err != nil {
		return err
	}
	root := cmp.Or(r.Root, "/")
	if strings.ContainsAny(root, "\n\r") {
		return fmt.Errorf("record %q: a line feed in the name of a root: give it another name", root)
	}
	var made []Made
	for _, path := range paths {
		one, err := madeAt(ctx, path)
		if err != nil {
			return fmt.Errorf("record %s: %w", path, err)
		}
		one.Root = root
		made = append(made, one)
	}
	if len(made) == 0 {
		return nil
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil { //nolint:gosec // which images there are is not a secret
		return fmt.Errorf("record images: %w", err)
	}
	unlock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
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
	f, err := openRegular(at)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the record of images: %w", err)
	}
	data, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read the record of images: %w", err)
	}
	var list []Made
	root := "/"
	text := linescan.New(bytes.NewReader(data), linescan.Longest)
	for text.Scan() {
		if dir, ok := strings.CutPrefix(text.Text(), rootLine); ok && filepath.IsAbs(dir) {
			root = dir
			continue
		}
		sum, path, ok := strings.Cut(text.Text(), "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size || !filepath.IsAbs(path) {
			return nil, fmt.Errorf("read the record of images: %s:%d: not \"SHA256  /PATH\": remove the line",
				at, text.Number())
		}
		list = append(list, Made{sum, path, root})
	}
	if err := text.Err(); err != nil {
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

// Remove removes the files of a release, in the root of the record, and forgets them. What was changed since, or is
// something else than a file now, stays, as somebody else's. With dry nothing is done.
func (r Record) Remove(ctx context.Context, release string, dry bool) (done []Removal, err error) {
	if err := checkRelease(release); err != nil {
		return nil, err
	}
	list, err := r.Of(release)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if !dry {
		unlock, lockErr := r.lock(ctx)
		if lockErr != nil {
			return nil, lockErr
		}
		defer func() { err = errors.Join(err, unlock()) }()
		if list, err = r.Of(release); err != nil { // as it is under the lock
			return nil, err
		}
	}
	var (
		kept []Made
		errs []error
	)
	for _, m := range list {
		if r.Root != "" && !SameRoot(m.Root, r.Root) {
			kept = append(kept, m)
			continue
		}
		removal, err := m.remove(ctx, dry)
		switch {
		case err != nil:
			errs, kept = append(errs, fmt.Errorf("remove image: %w", err)), append(kept, m)
		case removal != nil:
			done = append(done, *removal)
		}
	}
	if !dry {
		errs = append(errs, r.write(release, kept))
	}
	return done, errors.Join(errs...)
}

// remove removes a file that is there as it was made. Nil: somebody was quicker.
func (m Made) remove(ctx context.Context, dry bool) (*Removal, error) {
	sum, err := sumOf(ctx, m.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, nil //nolint:nilnil // it says what there is to say
	case errors.Is(err, errNotRegular), err == nil && sum != m.SHA256:
		return &Removal{m.Path, "it was changed since nodisk made it"}, nil
	case err == nil && !dry:
		err = os.Remove(m.Path)
	}
	if err != nil {
		return nil, err
	}
	return &Removal{Path: m.Path}, nil
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
	slices.SortFunc(list, func(a, b Made) int {
		return cmp.Or(strings.Compare(a.Root, b.Root), strings.Compare(a.Path, b.Path))
	})
	var text bytes.Buffer
	root := "/" // the first in that order
	for _, m := range list {
		if m.Root != root {
			root = m.Root
			fmt.Fprintf(&text, "%s%s\n", rootLine, root)
		}
		fmt.Fprintf(&text, "%s  %s\n", m.SHA256, m.Path)
	}
	if err := outfile.Replace(at, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("record images: %w", err)
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

// madeAt is what is to be remembered of a file that was made.
func madeAt(ctx context.Context, path string) (Made, error) {
	at, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Made{}, err
	}
	if at, err = filepath.Abs(at); err != nil {
		return Made{}, err
	}
	if strings.ContainsAny(at, "\n\r") {
		return Made{}, fmt.Errorf("%q: a line feed in the name of an image: give it another name", at)
	}
	sum, err := sumOf(ctx, at)
	return Made{SHA256: sum, Path: at}, err
}

var errNotRegular = errors.New("it is not a regular file")

// openRegular opens a regular file to read it; whatever else is there is not opened, as far as that would wait or do
// something, and is errNotRegular.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	// Another may have come in its place since: a FIFO, of which O_NONBLOCK does not wait for the other end.
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !opened.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, errNotRegular)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sumOf is the SHA256 of a regular file, hexadecimal.
func sumOf(ctx context.Context, path string) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, infile.Heed(ctx, f)); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
