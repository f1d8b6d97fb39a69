package initramfs

import (
	"io"
	"time"

	"github.com/nodisk/nodisk/build/compress"
)

// A block is a stretch of an archive that is compressed by itself: on another
// core than its neighbours, and once for all images that have it.
type block struct {
	archive  *cpioArchive
	from, to int64
	part     Part   // of the one file whose content it is, or the most of an archive; else 0
	streamed bool   // added files are in it: it is read and packed while the image is written
	packed   []byte // of what is not streamed
}

func (b *block) size() int64 { return b.to - b.from }

// load makes the content of a block that is not streamed.
func (b *block) load() ([]byte, error) {
	// Mostly it is what one file has, which is in memory already.
	c := b.archive.cursor()
	i := b.archive.find(b.from)
	if i < len(b.archive.records) {
		if r := &b.archive.records[i]; r.Source == nil && b.from >= r.from && b.to <= r.end {
			return r.Data[b.from-r.from : b.to-r.from], nil
		}
	}
	raw := make([]byte, b.size())
	if err := c.seek(b.from); err != nil {
		return nil, err
	}
	_, err := io.ReadFull(c, raw)
	return raw, err
}

// shared tells blocks that later images have too, and that hold nothing private:
// what an administrator gives (config, added files, secrets) is never kept on disk.
func (b *block) shared() bool {
	switch b.part {
	case PartInit, PartModules, PartFirmware, PartRescue:
		return b.size() >= blockFile
	default:
		return false
	}
}

// How segments are cut. The cuts follow from the files alone, never from the machine, and a
// file's content begins a block of its own so that it is the same block in every image.
const (
	// blockFile is the size from which a file is an lz4 block of its own. A block cannot
	// refer to what is before it, which costs small files more than large ones.
	blockFile = 48 << 10
	// blockArchive is about how much goes into one archive of the other compressions: the
	// kernel ends a frame of zstd, a gzip member and an xz stream with an archive
	// (init/initramfs.c: "junk at the end of compressed archive").
	blockArchive = 4 << 20
)

// blocksOf lays out the files as a cpio archive and cuts it into blocks for lz4. Without
// compression it is cut into pieces; else it is one block.
func blocksOf(files []Entry, c compress.Compression, mtime time.Time) ([]*block, error) {
	a, err := newArchive(files, mtime)
	if err != nil {
		return nil, err
	}
	var list []*block
	from := int64(0)
	add := func(to int64, part Part) {
		for from < to {
			n := min(to-from, compress.LZ4LegacyBlock)
			list = append(list, &block{archive: a, from: from, to: from + n, part: part})
			from += n
		}
	}
	switch c {
	case compress.LZ4:
		for i := range a.records {
			r := &a.records[i]
			if i > 0 && isGiven(files[i-1]) && !isGiven(r.Entry) {
				// So that what follows is the same in images with another config.
				add(r.at, 0)
			}
			if r.bytes < blockFile {
				continue
			}
			add(r.from, 0)
			add(r.end, r.Part)
		}
		add(a.size, 0)
	case compress.None:
		add(a.size, 0)
	default:
		list = []*block{{archive: a, to: a.size, part: mostOf(files)}}
	}
	a.mark(list)
	return list, nil
}

// mostOf is the part of which the most of an archive is; 0 if there is anything private in it.
func mostOf(files []Entry) Part {
	part := Part(0)
	for _, f := range files {
		if isGiven(f) {
			return 0
		}
		part = f.Part
	}
	return part
}

// mark finds the blocks that have something of what was added: of a large tree also the headers
// are many. Both lists are in the order of the archive.
func (a *cpioArchive) mark(blocks []*block) {
	i := 0
	for n := range a.records {
		r := &a.records[n]
		if r.Part != PartAdded && r.Source == nil {
			continue
		}
		for blocks[i].to <= r.at {
			i++
		}
		for j := i; j < len(blocks) && blocks[j].from < r.end; j++ {
			blocks[j].streamed = true
		}
	}
}

// isGiven tells files that are of this image alone.
func isGiven(f Entry) bool {
	switch f.Part {
	case PartIndexes, PartInit, PartModules, PartFirmware, PartRescue:
		return false
	default:
		return true
	}
}

// split cuts the files of a segment into those of several, for compressions that
// know no blocks. The names of one inode stay together: a kernel links within an archive.
func split(files []Entry, c compress.Compression) [][]Entry {
	if c == compress.LZ4 || c == compress.None {
		return [][]Entry{files}
	}
	var (
		list [][]Entry
		from int
		size int64
	)
	for i, f := range files {
		linked := i > 0 && f.Group != 0 && f.Group == files[i-1].Group
		full := size+f.size() > blockArchive
		if i > from && !linked && (full || isGiven(f) != isGiven(files[i-1]) || f.Part == PartInit) {
			list, from, size = append(list, files[from:i]), i, 0
		}
		if !linked {
			size += f.size()
		}
	}
	return append(list, files[from:])
}
