package modtree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/nodisk/nodisk/modload/unpack"
)

// moduleMax bounds the size of one unpacked module.
const moduleMax = 256 << 20

// ReadModule reads a module of at most 256 MiB, unpacked.
func ReadModule(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; modules.dep lists it: run depmod again", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain, err := unpack.Module(name, f)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	data, err := io.ReadAll(io.LimitReader(plain, moduleMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	case len(data) > moduleMax:
		return nil, fmt.Errorf("unpack %s: more than %d MiB", name, moduleMax>>20)
	case !bytes.HasPrefix(data, []byte("\x7fELF")):
		return nil, fmt.Errorf("%s is not an ELF file: it is damaged", name)
	}
	return data, nil
}
