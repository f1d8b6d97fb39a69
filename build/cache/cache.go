package cache

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/program"
)

// A Cache keeps compressed blocks of modules, firmware and programs, and the indexes of module trees that
// have none: in memory for the images of one run, and in a directory for later runs. It changes how long
// a build takes and nothing else: a block is taken only if it unpacks to the very bytes, indexes only if
// no file of the tree was touched since, and the directory may be deleted at any time. Nothing of config
// files, added files or secrets gets into the directory. Nil is a cache that keeps nothing.
type Cache struct {
	Dir   string
	limit int64
	maker string // which program packs

	mu     sync.Mutex
	memory map[Key]*cached
	wrote  bool
}

// A Key is what something in a cache is found by: a hash of what it was made of.
type Key [sha256.Size]byte

type cached struct {
	once   sync.Once
	packed []byte
	err    error
}

// limitBytes is how many bytes the directory of a cache holds at most, after a build.
const limitBytes = 256 << 20

// New makes a cache that keeps blocks in dir too; an empty dir is none.
func New(dir string) *Cache {
	return &Cache{Dir: dir, limit: limitBytes, maker: maker(), memory: make(map[Key]*cached)}
}

// maker tells this program from others, older and newer ones, whose encoders may pack the
// same block in another way: images must not depend on what one of them left behind.
func maker() string {
	name := []string{program.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		name = append(name, info.GoVersion)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				name = append(name, s.Value)
			}
		}
	}
	if at, err := os.Executable(); err == nil {
		if info, err := os.Stat(at); err == nil {
			name = append(name, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
		}
	}
	return strings.Join(name, " ")
}

// Key is that of what this program makes of data, by a kind.
func (c *Cache) Key(kind string, data []byte) Key {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n", c.maker, kind) // a hash takes everything
	_, _ = h.Write(data)
	return Key(h.Sum(nil))
}

// Packed returns the compressed form of raw, of pack if it is not known. Only with
// keep it is looked for in the directory and put there.
func (c *Cache) Packed(how compress.Compression, raw []byte, keep bool, pack func() ([]byte, error)) ([]byte, error) {
	if c == nil {
		return pack()
	}
	return c.Kept(
		c.Key(how.String(), raw),
		keep,
		func(packed []byte) bool { return compress.UnpacksTo(how, packed, raw) },
		pack,
	)
}

// Kept returns what was made under a key: in this run, or, with keep, in an earlier one if it is good; else
// what is made now.
func (c *Cache) Kept(key Key, keep bool, good func(data []byte) bool, produce func() ([]byte, error)) ([]byte,
	error,
) {
	c.mu.Lock()
	entry, ok := c.memory[key]
	if !ok {
		entry = &cached{}
		c.memory[key] = entry
	}
	c.mu.Unlock()
	entry.once.Do(func() {
		if keep {
			if entry.packed, ok = c.load(key, good); ok {
				return
			}
		}
		if entry.packed, entry.err = produce(); entry.err == nil && keep {
			c.store(key, entry.packed)
		}
	})
	return entry.packed, entry.err
}

func (c *Cache) path(key Key) string { return filepath.Join(c.Dir, hex.EncodeToString(key[:])) }

// load reads a file of the directory. A damaged one is as good as none.
func (c *Cache) load(key Key, good func(data []byte) bool) ([]byte, bool) {
	if c.Dir == "" {
		return nil, false
	}
	packed, err := os.ReadFile(c.path(key))
	if err != nil || !good(packed) {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(c.path(key), now, now) // only the order of removal depends on it
	return packed, true
}

// store puts a block into the directory. What does not work is left: the next build
// compresses the block again.
func (c *Cache) store(key Key, packed []byte) {
	if c.Dir == "" || os.MkdirAll(c.Dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.Dir, ".new-*")
	if err != nil {
		return
	}
	_, err = f.Write(packed)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.path(key))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // nothing else can be done about it
		return
	}
	c.mu.Lock()
	c.wrote = true
	c.mu.Unlock()
}

// Len is how many blocks and indexes the images of this run have asked for.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.memory)
}

// Trim removes the blocks that were not used for longest, until the directory is
// within its limit, and what a build that was killed left behind.
func (c *Cache) Trim() error {
	if c == nil || c.Dir == "" || !c.wrote {
		return nil
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return fmt.Errorf("trim cache: %w", err)
	}
	var (
		files []fs.FileInfo
		total int64
	)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() { // another nodisk may be trimming too
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		left := f.Name()[0] == '.' && time.Since(f.ModTime()) > time.Hour
		if total <= c.limit && !left {
			continue
		}
		if err := os.Remove(filepath.Join(c.Dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trim cache: %w", err)
		}
		total -= f.Size()
	}
	return nil
}
