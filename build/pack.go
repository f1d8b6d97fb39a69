package build

// An effort is how much work goes into a compression.
type effort uint8

const (
	careful effort = iota + 1 // the smallest image
	quick                     // a tree that is added, which would take minutes
)

// quickFrom is how much may be added, in bytes, before it is compressed quickly: some 6 MB/s is
// what a core does with care.
const quickFrom = 16 << 20

// effortFor chooses by what is to be streamed: by the input alone, so that an image is the same
// wherever it is made.
func effortFor(segments []segmentBlocks) effort {
	size := int64(0)
	for _, p := range segments {
		for _, one := range p.blocks {
			if one.streamed {
				size += one.size()
			}
		}
	}
	if size > quickFrom {
		return quick
	}
	return careful
}

// wantSums has the hashes of all sources made while they are read. The names of one inode share
// them, as one of them alone is read.
func wantSums(segments []segmentBlocks) {
	groups := make(map[int]*sourceSums)
	for _, p := range segments {
		for _, f := range p.files {
			if f.source == nil {
				continue
			}
			sums := groups[f.group]
			if f.group == 0 || sums == nil {
				sums = newSourceSums()
			}
			groups[f.group], f.source.sums = sums, sums
		}
	}
}
