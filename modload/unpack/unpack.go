// Package unpack undoes the compression of kernel module files: xz, zstd and
// gzip, the three that modules_install knows.
//
// It is apart from modload for its size: an /init whose image holds plain
// modules, or whose kernel unpacks them itself, does not link it. Give
// [Module] to modload.LoaderConfig.Decompress to have it in.
//
// The decoders of xz and zstd are our own for the same reason: those of the
// libraries, with crypto/rand and crypto/sha256 that they import, are 200 KB of
// /init as lz4 packs it, a tenth of the whole. Tests and fuzzing hold ours
// against the libraries.
package unpack

import (
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

// maxWindow bounds the memory a file may ask for: modules_install packs with
// windows of 2 MiB (xz) and 8 MiB (zstd -19).
const maxWindow = 64 << 20

// Module returns the plain module from one whose file name ends in .xz, .zst
// or .gz. Any other name is returned as it is.
func Module(path string, r io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(path, ".xz"):
		return newXZ(r), nil
	case strings.HasSuffix(path, ".zst"):
		return newZstd(r), nil
	case strings.HasSuffix(path, ".gz"):
		g, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		return g, nil
	}
	return r, nil
}
