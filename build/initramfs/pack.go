package initramfs

import "github.com/nodisk/nodisk/build/compress"

// quickFrom is how much may be added, in bytes, before it is compressed quickly: some 6 MB/s is
// what a core does with care.
const quickFrom = 16 << 20

// effortFor chooses by what is to be streamed: by the input alone, so that an image is the same
// wherever it is made.
func effortFor(segments []ArchiveBlocks) compress.Effort {
	size := int64(0)
	for _, p := range segments {
		for _, one := range p.blocks {
			if one.streamed {
				size += one.size()
			}
		}
	}
	if size > quickFrom {
		return compress.Quick
	}
	return compress.Careful
}

// wantSums has the hashes of all sources made while they are read. The names of one inode share
// them, as one of them alone is read.
func wantSums(segments []ArchiveBlocks) {
	groups := make(map[int]*Sums)
	for _, p := range segments {
		for _, f := range p.Files {
			if f.Source == nil {
				continue
			}
			sums := groups[f.Group]
			if f.Group == 0 || sums == nil {
				sums = NewSums()
			}
			groups[f.Group], f.Source.Sums = sums, sums
		}
	}
}
