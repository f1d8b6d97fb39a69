package build

import (
	"time"

	"github.com/nodisk/nodisk/build/initramfs"
)

// dryRun reports what would be in an image of these segments: they are laid out, which
// tells all sizes, and nothing is compressed or written.
func (b *builder) dryRun(list []initramfs.Archive, start time.Time) (Report, error) {
	if _, err := b.cut(list); err != nil {
		return Report{}, err
	}
	b.report.DryRun = true
	b.report.Took = time.Since(start)
	return b.report, nil
}
