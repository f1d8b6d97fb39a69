// Package unpack undoes the compression of kernel module files: xz, zstd and
// gzip, the three that modules_install knows.
//
// It is apart from modload for its size: an /init whose image holds plain
// modules, or whose kernel unpacks them itself, does not link it. Give
// [Module] to modload.LoaderConfig.Decompress to have it in.
package unpack

import (
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// window bounds the memory a file may ask for: modules_install packs with
// windows of 2 MiB (xz) and 8 MiB (zstd -19).
const window = 64 << 20

// Module returns the plain module from one whose file name ends in .xz, .zst
// or .gz. Any other name is returned as it is.
func Module(path string, r io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(path, ".xz"):
		x, err := xz.ReaderConfig{DictCap: 1 << 16}.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read xz: %w", err)
		}
		return x, nil
	case strings.HasSuffix(path, ".zst"):
		// One thread, no goroutine that must be closed: the reader ends with r.
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
		if err != nil {
			return nil, fmt.Errorf("read zstd: %w", err)
		}
		return z, nil
	case strings.HasSuffix(path, ".gz"):
		g, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		return g, nil
	}
	return r, nil
}
