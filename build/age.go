package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/init/linux"
)

// age refuses a kernel that is older than nodisk is for.
func (b *builder) age(release string) error { return b.refuse(linux.TooOld(release)) }

// unpacks refuses an image that the kernel cannot unpack: such a kernel panics
// for want of a root, without a line of nodisk's.
func (b *builder) unpacks() error {
	return b.refuse(unpacker(b.report.Release, b.config, b.spec.Compress))
}

// CheckUnpacking returns an error where the release of a kernel's file, or the configuration
// beside it, says that it cannot unpack the segments of an image.
func CheckUnpacking(ctx context.Context, vmlinuz string, segments []initramfs.Segment) error {
	k, err := kernel.Source{File: vmlinuz}.Headers(ctx)
	if err != nil {
		return err
	}
	for _, s := range segments {
		if err := unpacker(k.Release, k.Config, s.Compression); err != nil {
			return err
		}
	}
	return nil
}

// unpacker returns an error where a kernel has no unpacker for a compression. Without its
// configuration the release has to tell.
func unpacker(release string, config abi.Kconfig, c compress.Compression) error {
	option := c.KernelOption()
	if option == "" {
		return nil
	}
	if config == nil {
		// Of the others every kernel of the range can have the unpacker.
		v, ok := linux.ParseVersion(release)
		if since := (linux.Version{Major: 5, Minor: 9}); c == compress.Zstd && ok && v.Compare(since) < 0 {
			return fmt.Errorf("compress image: kernel %s unpacks no zstd, which Linux %v does: take --compress "+
				"lz4, gzip or none", release, since)
		}
		return nil
	}
	if config[option] == "y" {
		return nil
	}
	able := slices.DeleteFunc(compress.Compressions(), func(c compress.Compression) bool {
		return c != compress.None && config[c.KernelOption()] != "y"
	})
	names := make([]string, len(able))
	for i, c := range able {
		names[i] = c.String()
	}
	return fmt.Errorf("compress image: kernel %s unpacks no %v (no %s in its configuration): take --compress %s",
		release, c, option, strings.Join(names, " or "))
}

// refuse makes an error a warning if the image is to be made all the same.
func (b *builder) refuse(err error) error {
	if err == nil || !b.spec.SkipCheck {
		return err
	}
	b.report.Warnings = append(b.report.Warnings, err.Error())
	return nil
}
