package build

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/modload/unpack"
)

// MicrocodeAuto as an element of Spec.Microcode is what lib/firmware of
// Spec.Sysroot has, for processors from both makers.
const MicrocodeAuto = "auto"

// microcodeMax bounds a file of microcode.
const microcodeMax = 64 << 20

// microcode is the segment for the processors of the node, which must be the
// first and without compression. Nil: none was asked for.
func (b *builder) microcode(ctx context.Context, arch string) (*initramfs.Archive, error) {
	if len(b.spec.Microcode) == 0 {
		return nil, nil //nolint:nilnil // said above
	}
	if arch != "" && arch != "amd64" && arch != "386" {
		return nil, fmt.Errorf("read microcode: the kernel is for %s, and only x86 loads it from an image", arch)
	}
	intel, amd, err := readMicrocode(ctx, cmp.Or(b.spec.Sysroot, "/"), b.spec.Microcode)
	if err != nil {
		return nil, fmt.Errorf("read microcode: %w", err)
	}
	files := []initramfs.Entry{
		{Name: "kernel", Mode: initramfs.TypeDir | 0o755, Part: initramfs.PartMicrocode},
		{Name: "kernel/x86", Mode: initramfs.TypeDir | 0o755, Part: initramfs.PartMicrocode},
		{Name: initramfs.MicrocodeDir, Mode: initramfs.TypeDir | 0o755, Part: initramfs.PartMicrocode},
	}
	for _, one := range []struct {
		name    string
		updates []microcodeUpdate
		data    []byte
	}{{initramfs.AMDBlob, amd.updates, amd.data}, {initramfs.IntelBlob, intel.updates, intel.data}} {
		if len(one.updates) == 0 {
			continue
		}
		files = append(
			files,
			initramfs.Entry{
				Name: one.name,
				Mode: initramfs.TypeFile | 0o644,
				Data: one.data,
				Part: initramfs.PartMicrocode,
			},
		)
		names := make([]string, 0, len(one.updates))
		for _, u := range one.updates {
			names = append(names, u.String())
		}
		b.report.Microcode = append(b.report.Microcode, MicrocodeBlob{Path: "/" + one.name, Updates: names})
	}
	return &initramfs.Archive{Files: files, Compression: compress.None}, nil
}

// A microcodeUpdate is one of those in a blob.
type microcodeUpdate struct {
	signature uint32 // CPUID 1, EAX
	revision  uint32
	amdID     uint16 // AMD's own number of the processor, 0 for Intel
}

// String names processor and revision as lscpu and /proc/cpuinfo have them:
// family-model-stepping in hexadecimal.
func (u microcodeUpdate) String() string {
	if u.signature == 0 {
		return fmt.Sprintf("processor %04x revision %#x", u.amdID, u.revision)
	}
	s := u.signature
	family, model, stepping := s>>8&15, s>>4&15, s&15
	if family == 6 || family == 15 {
		model |= s >> 12 & 0xf0
	}
	if family == 15 {
		family += s >> 20 & 0xff
	}
	return fmt.Sprintf("%02x-%02x-%02x revision %#x", family, model, stepping, u.revision)
}

// A blob is the microcode of one maker.
type blob struct {
	data    []byte
	updates []microcodeUpdate
	seen    [][]byte // files already in it
}

func (b *blob) add(data []byte, updates []microcodeUpdate) {
	if slices.ContainsFunc(b.seen, func(old []byte) bool { return bytes.Equal(old, data) }) {
		return
	}
	b.seen = append(b.seen, data)
	b.data = append(b.data, data...)
	b.updates = append(b.updates, updates...)
}

// readMicrocode reads files, directories, or what a root has.
func readMicrocode(ctx context.Context, sysroot string, sources []string) (intel, amd blob, err error) {
	var errs []error
	for _, source := range sources {
		paths, err := microcodeFiles(sysroot, source)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, at := range paths {
			if err := addMicrocode(ctx, at, &intel, &amd); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", at, err))
			}
		}
	}
	return intel, amd, errors.Join(errs...)
}

// microcodeFiles lists the files that a source stands for, sorted.
func microcodeFiles(sysroot, source string) ([]string, error) {
	roots := []string{source}
	if source == MicrocodeAuto {
		roots = []string{filepath.Join(sysroot, "lib/firmware"), filepath.Join(sysroot, "usr/lib/firmware")}
	} else if info, err := os.Stat(source); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return roots, nil
	}
	for _, root := range roots {
		var paths []string
		for _, dir := range []string{".", "intel-ucode", "amd-ucode"} {
			if source == MicrocodeAuto && dir == "." {
				continue // thousands of others
			}
			entries, err := os.ReadDir(filepath.Join(root, dir))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			for _, e := range entries {
				if !e.IsDir() && isMicrocodeName(e.Name()) {
					paths = append(paths, filepath.Join(root, dir, e.Name()))
				}
			}
		}
		if paths != nil {
			return paths, nil
		}
	}
	return nil, fmt.Errorf("no microcode in %s: it needs intel-ucode/06-55-04 and the like or amd-ucode/*.bin "+
		"(Debian's packages intel-microcode and amd64-microcode, non-free-firmware), or take a file",
		strings.Join(roots, " or "))
}

// isMicrocodeName tells names as linux-firmware and Intel's archive have them:
// family-model-stepping, or microcode_amd*.bin.
func isMicrocodeName(name string) bool {
	for _, ending := range []string{".xz", ".zst"} {
		name = strings.TrimSuffix(name, ending)
	}
	return regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}$|^microcode_amd.*\.bin$`).MatchString(name)
}

// addMicrocode reads one file: Intel's, AMD's, or an image that holds them.
func addMicrocode(ctx context.Context, at string, intel, amd *blob) error {
	f, err := infile.Open(ctx, at)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain, err := unpack.Module(at, f)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(plain, microcodeMax+1))
	if err != nil {
		return err
	}
	if len(data) > microcodeMax {
		return fmt.Errorf("more than %d MiB, which is not microcode", microcodeMax>>20)
	}
	if !bytes.HasPrefix(data, []byte("070701")) {
		return addBlob(data, intel, amd)
	}
	image, err := initramfs.ReadSource(ctx, initramfs.BytesSource(data), false)
	if err != nil {
		return err
	}
	// By the names alone: the kernel looks for them before it unpacks anything
	// (lib/earlycpio.c).
	var blobs []*initramfs.File
	for i := range image.Files {
		if name := initramfs.CleanName(image.Files[i].Name); name == initramfs.IntelBlob || name == initramfs.AMDBlob {
			blobs = append(blobs, &image.Files[i])
		}
	}
	if blobs == nil {
		return fmt.Errorf("an image without /%s and /%s", initramfs.IntelBlob, initramfs.AMDBlob)
	}
	return image.Each(ctx, blobs, func(f *initramfs.File, content io.Reader) error {
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if err := addBlob(data, intel, amd); err != nil {
			return fmt.Errorf("/%s: %w", initramfs.CleanName(f.Name), err)
		}
		return nil
	})
}

func addBlob(data []byte, intel, amd *blob) error {
	if isAMDMicrocode(data) {
		updates, err := parseAMDMicrocode(data)
		if err != nil {
			return err
		}
		amd.add(data, updates)
		return nil
	}
	updates, err := parseIntelMicrocode(data)
	if err != nil {
		return err
	}
	intel.add(data, updates)
	return nil
}
