package unpack

import (
	"bytes"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// memoryMax is what a reader may keep: the window, and blocks, tables and input beside it.
const memoryMax = maxWindow + 4<<20

// allocated is how many bytes were allocated since the program began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// live is how many bytes are in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// drain unpacks at most a MiB of a file, whatever it says, and checks how many
// bytes the reader keeps. That costs a collection only if it took more than it may keep.
func drain(t testing.TB, name string, packed []byte) (plain []byte, err error) {
	t.Helper()
	before := allocated()
	r, err := Module(name, bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err = io.ReadAll(io.LimitReader(r, 1<<20))
	if took := allocated() - before; took > memoryMax {
		kept := live()
		if runtime.KeepAlive(r); kept > memoryMax+16<<20 { // of the test itself
			t.Errorf("%s: %d MiB are kept, %d are the limit", name, kept>>20, memoryMax>>20)
		}
	}
	return plain, err
}

// A header that asks for all there is gets it once, however often it comes;
// one that asks for more gets nothing.
func TestMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what is allocated is all that is kept
	const stream = "\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36"
	bigXZ := packXZ(t, []byte("x"), xz.WriterConfig{DictCap: maxWindow})
	bigZstd := packZstd(t, plain, zstd.WithWindowSize(maxWindow))
	for what, tt := range map[string]struct {
		name, packed string
		most         uint64
		refused      bool
	}{
		"xz, 64 MiB": {".xz", string(bytes.Repeat(bigXZ, 20)), memoryMax, false},
		"xz, 96 MiB": {".xz", stream + blockHeader("\x00\x21\x01\x1d"), 1 << 20, true},
		"xz, 4 GiB":  {".xz", stream + blockHeader("\x00\x21\x01\x28"), 1 << 20, true},
		"xz, three filters": {
			".xz", stream + blockHeader("\x03\x04\x00\x03\x01\xff\x04\x00\x21\x01\x28"), 1 << 20,
			true,
		},
		"zstd, 64 MiB":   {".zst", string(bytes.Repeat(bigZstd, 20)), memoryMax, false},
		"zstd, 72 MiB":   {".zst", "\x28\xb5\x2f\xfd\x00\x81\x01\x00\x00", 1 << 20, true},
		"zstd, 3.75 TiB": {".zst", "\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00", 1 << 20, true},
		"zstd, one of 16 EiB": {
			".zst", "\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00",
			1 << 20, true,
		},
		// it has nothing
		"zstd, one of 64 MiB":    {".zst", "\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x04\x01\x00\x00", memoryMax, true},
		"zstd, to be skipped":    {".zst", "\x50\x2a\x4d\x18\xff\xff\xff\xff", 1 << 20, true},
		"zstd, a run of a block": {".zst", "\x28\xb5\x2f\xfd\x00\x80\x03\x00\x10a", memoryMax, false},
	} {
		before := allocated()
		_, err := drain(t, tt.name, []byte(tt.packed))
		if (err != nil) != tt.refused {
			t.Errorf("%s: error %v, want one: %v", what, err, tt.refused)
		}
		if took := allocated() - before; took > tt.most {
			t.Errorf("%s: %d KiB are allocated, at most %d are allowed", what, took>>10, tt.most>>10)
		}
	}
}
