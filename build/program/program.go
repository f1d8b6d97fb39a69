package program

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/u-root/uio/llog"

	"github.com/nodisk/nodisk/internal/magic"
)

// modulePath is the first line of this repository's go.mod.
const modulePath = "github.com/nodisk/nodisk"

// ErrNoSource says that a directory is not inside of nodisk's repository.
var ErrNoSource = errors.New("no go.mod of module " + modulePath)

// FindSource returns the root of nodisk's repository that dir lies in, or
// [ErrNoSource].
func FindSource(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find source: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil {
			for line := range strings.Lines(string(text)) {
				if strings.TrimSpace(line) == "module "+modulePath {
					return at, nil
				}
			}
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("find source: %w in %s or above", ErrNoSource, dir)
		}
	}
}

// CompileInit has u-root's mkuimage compile cmd/nodisk-init of the repository
// at source, for an architecture ("amd64"; empty: this one), and returns the static binary. It is the
// same for the same source and toolchain, wherever it is compiled.
func CompileInit(ctx context.Context, source, arch string) ([]byte, error) {
	goroot, err := goRoot(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("compile /init: %w", err)
	}
	temp, err := os.MkdirTemp("", "nodisk-init-")
	if err != nil {
		return nil, fmt.Errorf("compile /init: %w", err)
	}
	defer os.RemoveAll(temp) //nolint:errcheck // left-overs of a temporary directory
	archive := filepath.Join(temp, "init.cpio")
	quiet := llog.New(llog.Default().Level, func(string, ...any) {})
	err = uimage.Create(quiet,
		uimage.WithEnv(
			golang.DisableCGO(), golang.WithGOOS("linux"), golang.WithGOARCH(arch),
			golang.WithGOROOT(goroot), golang.WithWorkingDir(source)),
		uimage.WithTempDir(temp),
		uimage.WithSkipLDD(),
		uimage.WithInit("nodisk-init"),
		// mkuimage adds -trimpath and -ldflags "-s -w -buildid=" itself, but
		// also -a, which would compile everything again each time. It turns off
		// inlining, and that stays off, as in the Makefile.
		uimage.WithBinaryCommandsOpts(&golang.BuildOpts{
			ExtraArgs: []string{"-a=false", "-buildvcs=false"},
		}, filepath.Join(source, "cmd", "nodisk-init")),
		uimage.WithCPIOOutput(archive))
	if err != nil {
		return nil, fmt.Errorf("compile /init in %s: %w", source, err)
	}
	binary, err := binaryOf(archive, "bin/nodisk-init")
	if err != nil {
		return nil, fmt.Errorf("compile /init: %w", err)
	}
	return binary, ctx.Err()
}

// goRoot asks the go command, which knows about the toolchain line of go.mod.
func goRoot(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir = dir
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("no go command in PATH; install Go, or take a released nodisk, which carries /init")
	}
	if err != nil {
		return "", fmt.Errorf("ask go for its GOROOT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// binaryOf takes a compiled command out of mkuimage's archive.
func binaryOf(archive, name string) ([]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	records := cpio.Newc.Reader(f)
	for {
		r, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no " + name + " in mkuimage's archive")
		}
		if err != nil {
			return nil, fmt.Errorf("read mkuimage's archive: %w", err)
		}
		if r.Name == name {
			return io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize))) //nolint:gosec // 32 bits in the format
		}
	}
}

// CheckProgram makes sure that the kernel can run a binary as /init: static,
// and of its architecture (empty: not known).
func CheckProgram(program []byte, arch string) error {
	err := CheckStatic("/init", program, arch)
	switch {
	case errors.Is(err, errDynamic):
		return fmt.Errorf("%w; compile it with CGO_ENABLED=0", err)
	case errors.Is(err, errOtherArch):
		return fmt.Errorf("%w; compile it with --from-source", err)
	}
	return err
}

var (
	errDynamic   = errors.New("it is linked dynamically, and no library is in the image")
	errOtherArch = errors.New("it is a program for")
)

// CheckStatic makes sure that a kernel of an architecture (empty: not known) can
// run a program, what, in an image without libraries.
func CheckStatic(what string, program []byte, arch string) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("check %s: not an ELF program: %w", what, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("check %s: %w", what, errDynamic)
		}
	}
	if is := magic.ELFArch(program); arch != "" && is != arch {
		return fmt.Errorf("check %s: %w %s (%v), but the kernel is for %s", what, errOtherArch, is, f.Machine, arch)
	}
	return nil
}
