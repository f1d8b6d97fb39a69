package initramfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
)

// A Reader is an image of any make: what it consists of, what the kernel makes
// of it, and the content of its files, which is read when it is asked for.
type Reader struct {
	Contents
	src  *Source
	Tree *Tree
}

// ReadSource lists an image. With sums it computes the hashes of the files too. The source
// must stay open as long as content is read.
func ReadSource(ctx context.Context, src *Source, sums bool) (*Reader, error) {
	r, err := ScanSource(ctx, src, sums)
	if err != nil {
		return nil, fmt.Errorf("read image%w", err)
	}
	return r, nil
}

// ScanSource is ReadSource with errors that begin with the place, to be put after a verb.
func ScanSource(ctx context.Context, src *Source, sums bool) (*Reader, error) {
	c, err := listing{maxRaw: scanMaxRaw, sums: sums}.read(ctx, src)
	if err != nil {
		return nil, err
	}
	tree, err := unpackTree(ctx, c.Files)
	if err != nil {
		return nil, &Damage{err: err}
	}
	return &Reader{Contents: c, src: src, Tree: tree}, nil
}

// Each reads the content of files, in the order of the archives. It goes through the
// image once, and only as far as it must. visit need not read to the end.
func (r *Reader) Each(ctx context.Context, files []*File, visit func(f *File, content io.Reader) error) error {
	wanted := make(map[*File]bool, len(files))
	for _, f := range files {
		wanted[f] = true
	}
	if len(wanted) == 0 {
		return nil
	}
	i := 0
	var failed error // of visit: it is not the image's fault
	s := &scan{maxRaw: scanMaxRaw}
	s.entry = func(_ cpioEntry, content *cpioReader, _ int64) error {
		if i >= len(r.Files) {
			return errImageChanged
		}
		f := &r.Files[i]
		i++
		if !wanted[f] {
			return nil
		}
		if content.left != f.Size {
			return errImageChanged
		}
		if failed = visit(f, content); failed != nil {
			return errEnough
		}
		if delete(wanted, f); len(wanted) == 0 {
			return errEnough
		}
		return nil
	}
	if err := s.run(ctx, r.src); err != nil {
		return fmt.Errorf("read image%w", err)
	}
	if failed != nil {
		return failed
	}
	if len(wanted) > 0 {
		return fmt.Errorf("read image: %w", errImageChanged)
	}
	return nil
}

var errImageChanged = errors.New("its file has changed while it was read: try again")

// loadMax bounds one file that is read into memory: config, indexes, scripts, /init.
const loadMax = 64 << 20

// Read goes through the image once, which unpacks it: all that is wanted of its files is asked for in one call.
//
// The regular files named by load are kept, for [Reader.FS]; names that are not those of regular files are
// passed over. None may have more than 64 MiB, all together not more than 128.
//
// Other files, in the order of the archives, are not kept: want is asked for each regular file, by its path without
// links; visit gets all the paths of a file (hard links), and need not read to the end. Both may be nil.
func (r *Reader) Read(ctx context.Context, load []string, want func(name string) bool,
	visit func(names []string, size int64, content io.Reader) error,
) error {
	loaded, err := r.loading(load)
	if err != nil {
		return err
	}
	visited := make(map[*File][]string)
	if want != nil {
		r.Tree.Walk("", r.Tree.Root, func(name string, n *Inode) {
			if n.Is(TypeFile) && n.body != nil && want(name) {
				visited[n.body] = append(visited[n.body], name)
			}
		})
	}
	files := slices.Collect(maps.Keys(visited))
	for f := range loaded {
		if visited[f] == nil {
			files = append(files, f)
		}
	}
	return r.Each(ctx, files, func(f *File, content io.Reader) error {
		if nodes := loaded[f]; nodes != nil {
			data := make([]byte, f.Size)
			if _, err := io.ReadFull(content, data); err != nil {
				return err
			}
			for _, n := range nodes {
				n.Data = data
			}
			content = bytes.NewReader(data)
		}
		if names := visited[f]; names != nil {
			return visit(names, f.Size, content)
		}
		return nil
	})
}

// Load is Read of what is kept.
func (r *Reader) Load(ctx context.Context, names ...string) error {
	return r.Read(ctx, names, nil, nil)
}

// loading finds what is to be kept, by the entries that have the content.
func (r *Reader) loading(names []string) (map[*File][]*Inode, error) {
	nodes := make(map[*File][]*Inode)
	total := int64(0)
	for _, name := range names {
		n := r.Tree.Get(name)
		if !n.Is(TypeFile) || n.Data != nil || n.body == nil || slices.Contains(nodes[n.body], n) {
			continue
		}
		if total += n.size(); n.size() > loadMax || total > 2*loadMax {
			return nil, fmt.Errorf("/%s has %s: no such file of an initramfs is that large",
				escape.Text(name), quantity.Bytes(n.size()))
		}
		nodes[n.body] = append(nodes[n.body], n)
	}
	return nodes, nil
}
