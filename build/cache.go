package build

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
)

// A Cache keeps compressed blocks of modules, firmware and programs, and the indexes of module trees that
// have none: in memory for the images of one run, and in a directory for later runs. It changes how long
// a build takes and nothing else: a block is taken only if it unpacks to the very bytes, indexes only if
// no file of the tree was touched since, and the directory may be deleted at any time. Nothing of config
// files, added files or secrets gets into the directory. Nil is a cache that keeps nothing.
type Cache struct {
	dir   string
	limit int64
	maker string // which program packs

	mu     sync.Mutex
	memory map[cacheKey]*cached
	wrote  bool
}

type cacheKey [sha256.Size]byte

type cached struct {
	once   sync.Once
	packed []byte
	err    error
}

// CacheLimit is how many bytes the directory of a cache holds at most, after a build.
const CacheLimit = 256 << 20

// NewCache makes a cache that keeps blocks in dir too; an empty dir is none.
func NewCache(dir string) *Cache {
	return &Cache{dir: dir, limit: CacheLimit, maker: maker(), memory: make(map[cacheKey]*cached)}
}

// maker tells this program from others, older and newer ones, whose encoders may pack the
// same block in another way: images must not depend on what one of them left behind.
func maker() string {
	name := []string{ownVersion()}
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

// key is that of what this program makes of data, by a kind.
func (c *Cache) key(kind string, data []byte) cacheKey {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n", c.maker, kind) // a hash takes everything
	_, _ = h.Write(data)
	return cacheKey(h.Sum(nil))
}

// packed returns the compressed form of raw, of pack if it is not known. Only with
// keep it is looked for in the directory and put there.
func (c *Cache) packed(how Compression, raw []byte, keep bool, pack func() ([]byte, error)) ([]byte, error) {
	if c == nil {
		return pack()
	}
	return c.kept(c.key(how.String(), raw), keep, func(packed []byte) bool { return unpacksTo(how, packed, raw) }, pack)
}

// kept returns what was made under a key: in this run, or, with keep, in an earlier one if it is good; else
// what is made now.
func (c *Cache) kept(key cacheKey, keep bool, good func(data []byte) bool, produce func() ([]byte, error)) ([]byte,
	error) {
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

func (c *Cache) path(key cacheKey) string { return filepath.Join(c.dir, hex.EncodeToString(key[:])) }

// load reads a file of the directory. A damaged one is as good as none.
func (c *Cache) load(key cacheKey, good func(data []byte) bool) ([]byte, bool) {
	if c.dir == "" {
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
func (c *Cache) store(key cacheKey, packed []byte) {
	if c.dir == "" || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.dir, ".new-*")
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

// Trim removes the blocks that were not used for longest, until the folder is
// within its limit, and what a build that was killed left behind.
func (c *Cache) Trim() error {
	if c == nil || c.dir == "" || !c.wrote {
		return nil
	}
	entries, err := os.ReadDir(c.dir)
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
		if err := os.Remove(filepath.Join(c.dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trim cache: %w", err)
		}
		total -= f.Size()
	}
	return nil
}
