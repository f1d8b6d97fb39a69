package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/magic"
	"github.com/nodisk/nodisk/internal/quantity"
)

// A Base is an initramfs that somebody else made, to which nodisk is added.
type Base struct {
	// Image is its file. Empty: there is no base.
	Image string
	// Chain has /init run the base's own init after the drivers and the network,
	// unless the command line says otherwise. Without it /init boots the node.
	Chain bool
	// DriversOnly keeps the base's init and has it load our modules.
	DriversOnly bool
}

// Where things lie in an image that has a base. Modules and their indexes are
// below a directory of their own: the base may have some of the same kernel, and its
// kmod must find its own modules.dep.bin beside them.
const (
	ownInit    = initramfs.OwnDir + "/init"
	originPath = initramfs.OwnDir + "/base"
	vendorInit = "init.vendor"
)

// A base is a [Base] that has been read.
type base struct {
	Base
	packed   *initramfs.Source    // the file as it is
	last     compress.Compression // of its last segment
	segments []initramfs.Segment
	has      initramfs.Amount
	tree     *initramfs.Tree
	origin   origin
	hook     hook              // where DriversOnly
	links    []initramfs.Entry // make way for files of ours, see graft
	replaced bool              // an image to which nodisk had been added before
	kept     []string          // firmware and commands that ours has too, and which stay
	notes    []string
}

// openBase reads the base and completes the config by what its use needs.
func (b *builder) openBase(ctx context.Context) error {
	s := &b.spec
	switch {
	case s.Base.Image == "" && (s.Base.Chain || s.Base.DriversOnly):
		return errors.New("use base: there is none whose init could run; give it by --base")
	case s.Base.Image == "":
		return nil
	case s.Base.Chain && s.Base.DriversOnly:
		return errors.New("use base: either our /init runs first and then the base's (--chain), or the base's runs " +
			"and loads our modules (--drivers-only): leave one out")
	}
	src, err := initramfs.OpenSource(ctx, s.Base.Image)
	if err != nil {
		return fmt.Errorf("read base: %w", err)
	}
	if b.base, err = readBase(ctx, src); err != nil {
		return errors.Join(fmt.Errorf("read base %s: %w", s.Base.Image, err), src.Close())
	}
	b.base.Base = s.Base
	chain := ""
	switch {
	case s.Base.Chain:
		chain = "nodisk.chain=/" + vendorInit + "\n"
	case s.Base.DriversOnly:
		if b.base.hook, err = findHook(b.base.tree); err != nil {
			return fmt.Errorf("read base %s: %w", s.Base.Image, err)
		}
		if b.base.hook.kind == hookNone {
			chain = "nodisk.chain=/" + vendorInit + ",drivers\n"
		}
	}
	// Before the administrator's keys, which override it.
	s.Config = append([]byte(chain), s.Config...)
	return nil
}

// readBase reads an image to which nodisk shall be added. Of its files it keeps those
// in memory that the building looks into.
func readBase(ctx context.Context, src *initramfs.Source) (*base, error) {
	image, err := initramfs.ScanSource(ctx, src, true)
	if err != nil {
		if how := repack(src, err); how != nil {
			err = fmt.Errorf("read image%w; %w", err, how)
		} else {
			err = fmt.Errorf("read image%w", err)
		}
		return nil, err
	}
	for _, s := range image.Segments {
		var check [1]byte // the second of the stream's flags (xz-file-format.txt, 2.1.1.2)
		if s.Compression != compress.XZ {
			continue
		}
		if _, err := src.ReadAt(check[:], s.Offset+7); err != nil {
			return nil, err
		}
		if check[0] > 1 {
			return nil, fmt.Errorf("the checksum of its xz is not CRC32, and the kernel knows no other "+
				"(lib/decompress_unxz.c); %w", repackAt(s.Offset, "xz -dc"))
		}
	}
	b := &base{
		packed: src, last: image.Segments[len(image.Segments)-1].Compression, segments: image.Segments,
		has: image.Has, tree: image.Tree,
	}
	if b.tree.Get(originPath).Is(initramfs.TypeFile) {
		if err := image.Load(ctx, originPath); err != nil {
			return nil, err
		}
		return b.before(ctx, b.tree.Get(originPath).Data)
	}
	if b.tree.Get(initramfs.ConfigPath) != nil {
		return nil, fmt.Errorf(
			"it is an image of nodisk itself (it has /%s): build one without --base",
			initramfs.ConfigPath,
		)
	}
	if b.tree.Get(vendorInit) != nil {
		return nil, fmt.Errorf("it has a /%s already, and ours is to be called so", vendorInit)
	}
	_, n, err := b.tree.Lookup(initramfs.InitPath, false)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, fmt.Errorf("it has no /%s: it is not an initramfs, but only a part of one (microcode?) or an "+
			"initrd of the old kind", initramfs.InitPath)
	case !n.Is(initramfs.TypeFile) && !n.Is(initramfs.TypeLink):
		return nil, fmt.Errorf("its /%s is neither a file nor a link", initramfs.InitPath)
	case !b.tree.Get(initramfs.InitPath).Is(initramfs.TypeFile):
		return nil, fmt.Errorf("its /%s is a link to %s, which is not in it: it boots nowhere",
			initramfs.InitPath, escape.Text(n.Target))
	}
	if b.origin, err = newOrigin(ctx, src); err != nil {
		return nil, err
	}
	return b, image.Load(ctx, initramfs.InitPath, initramfsToolsDir+"/ORDER")
}

// before goes back to what an image was before nodisk was added to it.
func (b *base) before(ctx context.Context, text []byte) (*base, error) {
	o, err := parseOrigin(text)
	var vendor *initramfs.Source
	if err == nil {
		vendor, err = o.find(ctx, b.packed)
	}
	if err != nil {
		return nil, fmt.Errorf("nodisk was added to it before, and %w: give the vendor's own file", err)
	}
	again, err := readBase(ctx, vendor)
	if err != nil {
		return nil, err
	}
	again.replaced = true
	return again, nil
}

// find is the beginning of an image that was the vendor's.
func (o origin) find(ctx context.Context, image *initramfs.Source) (*initramfs.Source, error) {
	if o.bytes < image.Size {
		vendor := image.UpTo(o.bytes)
		is, err := newOrigin(ctx, vendor)
		if err != nil {
			return nil, err
		}
		if is == o {
			return vendor, nil
		}
	}
	return nil, fmt.Errorf("it does not begin with the %d bytes that were the vendor's", o.bytes)
}

// An origin says what the vendor's part of an image is, so that it can be found
// again.
type origin struct {
	bytes  int64 // from the beginning
	sha256 string
}

func newOrigin(ctx context.Context, src *initramfs.Source) (origin, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, infile.Heed(ctx, io.NewSectionReader(src, 0, src.Size))); err != nil {
		return origin{}, err
	}
	return origin{bytes: src.Size, sha256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// String is the content of originPath.
func (o origin) String() string {
	return fmt.Sprintf("# The image that nodisk was added to is the first bytes of this one.\nbytes %d\nsha256 %s\n",
		o.bytes, o.sha256)
}

// parseOrigin reads what String wrote.
func parseOrigin(text []byte) (origin, error) {
	var o origin
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "bytes":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n <= 0 {
				return origin{}, fmt.Errorf("/%s has %q for a number of bytes", originPath, value)
			}
			o.bytes = n
		case "sha256":
			o.sha256 = value
		}
	}
	if o.bytes == 0 || len(o.sha256) != 2*sha256.Size {
		return origin{}, fmt.Errorf("/%s does not say what it was", originPath)
	}
	return o, nil
}

// repack is how to make the kernel's and our reader take an image that ends the
// reading: nil if no tool helps.
func repack(src *initramfs.Source, err error) error {
	place, ok := errors.AsType[*initramfs.Damage](err)
	if !ok {
		return nil
	}
	rest := make([]byte, compress.DetectLength)
	n, err := src.ReadAt(rest, place.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // it is not the reading that was asked about
	}
	rest = rest[:n]
	offset := place.Offset
	for prefix, unpack := range map[string]string{
		"\x89LZO": "lzop -dc", "\x5d\x00\x00": "xz -dc --format=lzma", "BZh": "bzip2 -dc",
		"\x04\x22\x4d\x18": "lz4 -dc",
	} {
		if magic.At(rest, 0, prefix) {
			return repackAt(offset, unpack)
		}
	}
	return nil
}

func repackAt(offset int64, unpack string) error {
	by := fmt.Sprintf("%s OLD | gzip -9n >NEW", unpack)
	if offset > 0 {
		by = fmt.Sprintf("(head -c %d OLD; tail -c +%d OLD | %s | gzip -9n) >NEW", offset, offset+1, unpack)
	}
	return errors.New("repack it: " + by + "; or have it made so: dracut --gzip, or COMPRESS=gzip in initramfs.conf")
}

// closeBase lets go of the base's file.
func (b *builder) closeBase() error {
	if b.base == nil {
		return nil
	}
	return b.base.packed.Close()
}

// releases are the kernels whose modules are in the base, sorted.
func (b *base) releases() []string {
	var names []string
	dir := b.tree.Get(initramfs.ModulesDir)
	if !dir.Is(initramfs.TypeDir) {
		return nil
	}
	for name, n := range dir.Entries {
		if n.Is(initramfs.TypeDir) && len(n.Entries) > 0 && kernel.PlausibleRelease(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tell puts into the report what became of the base.
func (b *base) tell(r *Report) {
	var parts []string
	for _, s := range b.segments {
		parts = append(parts, fmt.Sprintf("%v at byte %d", s.Compression, s.Offset))
	}
	what := ""
	if b.replaced {
		what = ", without the nodisk that had been added to it"
	}
	r.Notes = append(
		r.Notes,
		fmt.Sprintf("base %s: kept unchanged%s (%s, %s)", b.Image, what, quantity.Bytes(b.packed.Size),
			strings.Join(parts, ", ")),
	)
	r.Notes = append(r.Notes, b.notes...)
	if have := b.releases(); have != nil && !slices.Contains(have, r.Release) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the base has modules of Linux %s, and what is added is for %s: "+
			"its own drivers will not load",
			strings.Join(have, ", "), r.Release))
	}
}
