package modtree

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/depmod"
)

// madeIndexes are the indexes of a tree in which depmod has not run.
type madeIndexes struct {
	Texts    map[string][]byte // by name: "modules.dep"
	Warnings []string
}

// makeIndexes makes them: of the kernel's own modules from what they say about themselves, of a tree that
// has others from the symbols of all modules.
func makeIndexes(root fs.FS, release string, conf depmod.Config) (madeIndexes, error) {
	x, err := depmod.Quick(root, release, conf)
	if errors.Is(err, depmod.ErrSymbols) {
		x, err = depmod.Run(root, release, conf)
	}
	if err != nil {
		return madeIndexes{}, err
	}
	return madeIndexes{Texts: x.Texts(), Warnings: x.Warnings}, nil
}

// indexes are those of a tree, out of the cache if no file of the tree was touched since they were made. A nil
// cache makes them.
func indexes(c *cache.Cache, root fs.FS, release string, conf depmod.Config) (madeIndexes, error) {
	if c == nil {
		return makeIndexes(root, release, conf)
	}
	state, err := treeState(root, release, conf)
	if err != nil {
		return madeIndexes{}, err
	}
	var made madeIndexes
	data, err := c.Kept(c.Key("module indexes", state), true, made.decode, func() ([]byte, error) {
		made, err := makeIndexes(root, release, conf)
		if err != nil {
			return nil, err
		}
		return made.encode()
	})
	if err != nil {
		return madeIndexes{}, err
	}
	if made.Texts == nil && !made.decode(data) {
		return madeIndexes{}, errors.New("read module indexes: those that were just made cannot be read")
	}
	return made, nil
}

// differences are those between modules.dep and the files of a tree. They are looked for once a run,
// for all its images.
func differences(c *cache.Cache, t Dir, root fs.FS, conf depmod.Config) ([]depmod.Difference, error) {
	if c == nil {
		return depmod.Compare(root, t.Release, conf)
	}
	var list []depmod.Difference
	data, err := c.Kept(c.Key("stale modules", []byte(t.Path+"\n"+t.Release)), false, nil, func() ([]byte, error) {
		found, err := depmod.Compare(root, t.Release, conf)
		if err != nil {
			return nil, err
		}
		return json.Marshal(found)
	})
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(data, &list)
	return list, err
}

// encode puts a checksum before the indexes.
func (m madeIndexes) encode() ([]byte, error) {
	var out bytes.Buffer
	out.Write(make([]byte, sha256.Size))
	if err := gob.NewEncoder(&out).Encode(m); err != nil {
		return nil, fmt.Errorf("keep module indexes: %w", err)
	}
	data := out.Bytes()
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, nil
}

// decode reports whether data are indexes, whole.
func (m *madeIndexes) decode(data []byte) bool {
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
		return false
	}
	*m = madeIndexes{}
	return gob.NewDecoder(bytes.NewReader(data[sha256.Size:])).Decode(m) == nil && m.Texts != nil
}

// treeState is text that changes when a file does of which indexes are made.
func treeState(root fs.FS, release string, conf depmod.Config) ([]byte, error) {
	files, warnings, err := depmod.Files(root, release, conf)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n%+v\n%q\n", release, conf, warnings)
	for _, f := range files { // modules.order and modules.builtin are in their order, and in the warnings
		info, err := fs.Stat(root, f.Real)
		if err != nil {
			return nil, fmt.Errorf("read modules: %w", err)
		}
		fmt.Fprintf(&out, "%s %s %s\n", f.Path, f.Real, fileState(info))
	}
	return out.Bytes(), nil
}
