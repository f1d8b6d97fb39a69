package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/output"
)

// imageFlags are the flags of nodisk build for what goes around modules and /init.
type imageFlags struct {
	Microcode       []string       `help:"Microcode for the processors: an intel-ucode or amd-ucode directory, a file, an early cpio, or auto, what /lib/firmware has, that of --sysroot; repeatable." placeholder:"WHAT" sep:"none"`
	Secret          []build.Secret `help:"File that only root of the node may read, and its path in the image (default /etc/nodisk/NAME); repeatable." placeholder:"FILE[:DST]" sep:"none"`
	SecretOut       string         `help:"Write the secrets into a file of their own, which the boot loader gives to one node as a second initrd." placeholder:"FILE"`
	SecretOnly      bool           `help:"Write only the file of --secret-out, no image."`
	StripSignatures bool           `help:"Take the signatures off the modules, which saves their check; the kernel is tainted (E)."`
	Tree            bool           `help:"Print the sizes as a tree."`
	SBOM            string         `help:"Write what is inside as SPDX 2.3 (JSON)." name:"sbom" placeholder:"FILE"`
	Images          string         `help:"Make several images: a YAML file with common flags and those of each image; they share the work." type:"existingfile" placeholder:"FILE"`
	NoCache         bool           `help:"Neither read nor write the user's cache of compressed modules (NODISK_CACHE, default nodisk below the user's cache directory)."`
}

// fill puts the flags into a spec.
func (f *imageFlags) fill(s *build.Spec) {
	s.Microcode, s.Secrets, s.SecretOut = f.Microcode, f.Secret, f.SecretOut
	s.StripSignatures, s.SBOM = f.StripSignatures, f.SBOM
}

// cache opens the cache of compressed blocks. Without a directory for it, as under a
// service without HOME, it is in memory alone.
func (f *imageFlags) cache() *cache.Cache {
	if f.NoCache {
		return cache.New("")
	}
	if dir := os.Getenv("NODISK_CACHE"); dir != "" {
		return cache.New(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return cache.New("")
	}
	return cache.New(filepath.Join(dir, "nodisk", "blocks"))
}

// writeSecrets is nodisk build --secret-only.
func (b *buildCmd) writeSecrets(ctx context.Context, s build.Spec, c console) error {
	if b.SecretOut == "" || len(b.Secret) == 0 {
		return &usageError{errors.New("build: --secret-only needs --secret FILE and --secret-out FILE")}
	}
	s.Out, s.SBOM, s.Stdout = "", "", c.raw()
	c = c.beside(s)
	names, warnings, err := build.WriteSecrets(ctx, s)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	switch {
	case b.JSON:
		return writeJSON(c.out, secretsJSON{Secrets: names, SecretFile: b.SecretOut, Warnings: warnings})
	case b.Quiet:
		names, c.out = nil, c.err
	}
	for _, name := range names {
		if _, err := fmt.Fprintf(c.out, "secret %s, in %s\n", name, output.Name(b.SecretOut)); err != nil {
			return err
		}
	}
	for _, warning := range warnings {
		if _, err := fmt.Fprintf(c.out, "warning: %s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

// report prints the summary; with --tree also what microcode is inside, and the tree.
func (b *buildCmd) report(r build.Report, c console) error {
	switch {
	case b.JSON:
		return writeJSON(c.out, jsonReport(r))
	case b.Quiet:
		for _, warning := range r.Warnings {
			if _, err := fmt.Fprintf(c.err, "warning: %s\n", warning); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.WriteText(c.out); err != nil || !b.Tree || r.DryRun {
		return err
	}
	if err := r.WriteMicrocode(c.out); err != nil {
		return err
	}
	image, err := os.Open(r.Out)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	defer image.Close() //nolint:errcheck // nothing was written
	contents, err := initramfs.Inspect(image)
	if err != nil {
		return fmt.Errorf("build: %s: %w", r.Out, err)
	}
	return contents.WriteTree(c.out)
}

// statusLine is where progress is shown; with --quiet nowhere.
func (b *buildCmd) statusLine(c console) *statusLine {
	if b.Quiet {
		return newStatusLine(io.Discard)
	}
	return newStatusLine(c.err)
}
