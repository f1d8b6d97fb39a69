package kernel

import (
	"bytes"
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

	"github.com/klauspost/compress/gzip"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/linescan"
	"github.com/nodisk/nodisk/internal/magic"
	"github.com/nodisk/nodisk/modload/unpack"
)

// A Source says where the facts of a kernel come from.
type Source struct {
	File    string // the kernel's; empty: only what release and directories tell
	Release string // where file is empty
	Tree    string // lib/modules/RELEASE, or empty
	Symvers string // Module.symvers; empty: it is looked for
	Config  string // .config; empty: it is looked for
}

// Headers are the facts that cost nothing: what the head of the kernel's file tells, and the
// configuration.
func (s Source) Headers(ctx context.Context) (abi.Kernel, error) {
	k := abi.Kernel{Release: s.Release}
	if s.File != "" {
		known, err := Open(ctx, s.File)
		if err != nil {
			return k, err
		}
		k.Release, k.Arch = known.Release, known.Arch
	}
	var err error
	k.Config, err = s.kconfig(k.Release)
	return k, err
}

// Facts are headers, and what the kernel says when it is unpacked: half a
// second or more. A kernel that cannot be unpacked is a note, and
// Module.symvers is taken instead. The end of ctx is an error.
func (s Source) Facts(ctx context.Context) (abi.Kernel, []abi.Finding, error) {
	k, err := s.Headers(ctx)
	if err != nil {
		return k, nil, err
	}
	var notes []abi.Finding
	if s.File != "" {
		if known, err := Open(ctx, s.File); err == nil { // headers have read it
			for _, text := range known.Notes() {
				notes = append(notes, abi.Finding{Severity: abi.Note, Kind: abi.Facts, Text: text})
			}
		}
		if err := s.unpacked(ctx, &k); err != nil {
			if ctx.Err() != nil {
				return k, notes, err
			}
			notes = append(notes, abi.Finding{Severity: abi.Note, Kind: abi.Facts, Text: err.Error()})
		}
	}
	if k.Exports == nil || s.Symvers != "" {
		if err := s.useSymvers(ctx, &k); err != nil {
			return k, notes, err
		}
	}
	return k, notes, nil
}

// unpacked fills in what the plain kernel holds.
func (s Source) unpacked(ctx context.Context, k *abi.Kernel) error {
	f, err := infile.Regular(s.File)
	if err != nil {
		return fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain, err := unpackKernel(ctx, f, kernelMax)
	if err != nil {
		return fmt.Errorf("read kernel %s: %w", s.File, err)
	}
	k.Vermagic = findVermagic(plain, k.Release)
	if k.Config == nil {
		if k.Config, err = embeddedConfig(plain); err != nil {
			return fmt.Errorf("read kernel %s: %w", s.File, err)
		}
	}
	if !magic.At(plain, 0, "\x7fELF") {
		return nil // an Image has no sections
	}
	if k.Exports, err = ko.ParseKernelELF(plain); err != nil {
		return fmt.Errorf("%w (%s)", err, s.File)
	}
	k.ExportsFrom = s.File
	return nil
}

// vermagicFlags are words of MODULE_ARCH_VERMAGIC and its neighbours
// (include/linux/vermagic.h): after the release, each followed by a blank.
var vermagicFlags = regexp.MustCompile(`^(?:[A-Za-z0-9_+.-]+ )*$`)

// findVermagic finds the string vermagic of kernel/module/main.c in a plain
// kernel: "RELEASE SMP preempt mod_unload modversions ", ended by NUL.
// Empty: not found.
func findVermagic(plain []byte, release string) string {
	const longest = 256
	for from := 0; ; {
		i := bytes.Index(plain[from:], []byte(release+" "))
		if i < 0 {
			return ""
		}
		from += i + 1
		text, _, ok := bytes.Cut(plain[from-1:min(len(plain), from+longest)], []byte{0})
		flags := strings.TrimPrefix(string(text), release+" ")
		// linux_banner and the like go on with "(builder@host)" or "#1".
		if ok && vermagicFlags.MatchString(flags) {
			return string(text)
		}
	}
}

// embeddedConfig is CONFIG_IKCONFIG's: gzip between two marks
// (kernel/configs.c). Nil if there is none.
func embeddedConfig(plain []byte) (abi.Kconfig, error) {
	_, packed, ok := bytes.Cut(plain, []byte("IKCFG_ST\x1f\x8b"))
	if !ok {
		return nil, nil
	}
	z, err := gzip.NewReader(io.MultiReader(strings.NewReader("\x1f\x8b"), bytes.NewReader(packed)))
	if err != nil {
		return nil, fmt.Errorf("unpack its configuration: %w", err)
	}
	z.Multistream(false)
	return abi.ParseKconfig(linescan.Bound(z, 16<<20))
}

// kconfig reads the configuration from where it was given, or where
// distributions put it; nil if there is none.
func (s Source) kconfig(release string) (abi.Kconfig, error) {
	var places []string
	switch {
	case s.Config != "":
		places = []string{s.Config}
	default:
		if s.File != "" {
			dir, base := filepath.Split(s.File)
			if suffix, ok := strings.CutPrefix(base, "vmlinuz"); ok { // vmlinuz-RELEASE, vmlinuz
				places = append(places, filepath.Join(dir, "config"+suffix))
			}
			if release != "" { // vmlinuz is often a link to one of several
				places = append(places, filepath.Join(dir, "config-"+release))
			}
		}
		if s.Tree != "" {
			places = append(places, filepath.Join(s.Tree, "config"), filepath.Join(s.Tree, "build", ".config"))
		}
	}
	f, name, err := openFirst(places, s.Config != "")
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	c, err := abi.ParseKconfig(linescan.Bound(f, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("%s, of Linux %s: %w", name, release, err)
	}
	return c, nil
}

// openFirst opens the first of files that is there; nil if none is and none
// must be.
func openFirst(places []string, must bool) (*os.File, string, error) {
	for _, name := range places {
		f, err := infile.Regular(name)
		if errors.Is(err, fs.ErrNotExist) && !must {
			continue
		}
		return f, name, err
	}
	return nil, "", nil
}

// useSymvers takes the kernel's exports from Module.symvers.
func (s Source) useSymvers(ctx context.Context, k *abi.Kernel) error {
	places := []string{s.Symvers}
	if s.Symvers == "" {
		places = nil
		if s.Tree != "" {
			places = append(places, filepath.Join(s.Tree, "build", "Module.symvers"),
				filepath.Join(s.Tree, "symvers.xz"), filepath.Join(s.Tree, "symvers.gz")) // Fedora, RHEL
		}
		if k.Release != "" {
			places = append(places, filepath.Join("/usr/src", "linux-headers-"+k.Release, "Module.symvers"))
		}
	}
	f, name, err := openFirst(places, s.Symvers != "")
	if f == nil || err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain, err := unpack.Module(name, infile.Heed(ctx, f))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	exports, err := kernelSymvers(plain)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	k.Exports, k.ExportsFrom = exports, name
	return nil
}

// kernelSymvers are those symbols of a Module.symvers that are the kernel's own.
func kernelSymvers(r io.Reader) ([]ko.Symbol, error) {
	exports, err := ko.ParseSymvers(linescan.Bound(r, 64<<20))
	if err != nil {
		return nil, err
	}
	exports = slices.DeleteFunc(exports, func(s ko.Symbol) bool { return s.From != "vmlinux" })
	if len(exports) == 0 {
		return nil, errors.New("read Module.symvers: it has no symbol of vmlinux; give the one of the kernel, not of " +
			"a module's source")
	}
	return exports, nil
}

// AnyConfig is the configuration of the kernel, from inside of its file if it lies
// nowhere else; nil if there is none.
func (s Source) AnyConfig(ctx context.Context) (abi.Kconfig, error) {
	k, err := s.Headers(ctx)
	if err != nil || k.Config != nil || s.File == "" {
		return k.Config, err
	}
	k, _, err = s.Facts(ctx)
	return k.Config, err
}
