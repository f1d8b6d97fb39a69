package unpack

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkModulesXZ unpacks the modules below a directory, such as a kernel's drivers/net:
// NODISK_BENCH_MODULES=DIR go test -bench ModulesXZ ./modload/unpack.
func BenchmarkModulesXZ(b *testing.B) {
	dir := os.Getenv("NODISK_BENCH_MODULES")
	if dir == "" {
		b.Skip("NODISK_BENCH_MODULES names no directory of .ko.xz")
	}
	var packed [][]byte
	err := filepath.Walk(dir, func(at string, _ os.FileInfo, err error) error {
		if err == nil && filepath.Ext(at) == ".xz" {
			data, err := os.ReadFile(at)
			packed = append(packed, data)
			return err
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		total := int64(0)
		for _, data := range packed {
			r, err := Module(".xz", bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
		b.SetBytes(total)
	}
}
