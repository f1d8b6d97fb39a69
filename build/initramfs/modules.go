package initramfs

import (
	"bytes"
	"fmt"
	"io"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload/unpack"
)

// imageModuleMax bounds one module of an image, plain: the largest there are have some 40 MiB without
// their debugging information, which no image has.
const imageModuleMax = 128 << 20

// ParseModule reads a module of size bytes, packed or not, by way of buf.
func ParseModule(buf *bytes.Buffer, name string, size int64, content io.Reader) (*ko.Module, error) {
	if size > imageModuleMax {
		return nil, fmt.Errorf("more than %d MiB", imageModuleMax>>20)
	}
	plain, err := unpack.Module(name, content)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	buf.Reset()
	buf.Grow(int(size) + bytes.MinRead) // it is not less when unpacked
	n, err := io.Copy(buf, io.LimitReader(plain, imageModuleMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack: %w", err)
	case n > imageModuleMax:
		*buf = bytes.Buffer{}
		return nil, fmt.Errorf("more than %d MiB", imageModuleMax>>20)
	}
	return ko.Parse(buf.Bytes())
}
