package build

import "time"

// dryRun reports what would be in an image of these segments, of which nothing is
// compressed or written.
func (b *builder) dryRun(list []segment, start time.Time) Report {
	for _, s := range list {
		raw := int64(0)
		for _, f := range s.files {
			raw += archived(f)
		}
		b.report.measure(s.files, raw)
	}
	b.report.DryRun = true
	b.report.Took = time.Since(start)
	return b.report
}

// archived is what a file takes in an archive: header, name and content, each filled up
// to four bytes (Documentation/driver-api/early-userspace/buffer-format.rst).
func archived(f file) int64 {
	const header = 110
	fill := func(n int) int64 { return int64(n+3) &^ 3 }
	return fill(header+len(f.name)+1) + fill(len(f.data))
}
