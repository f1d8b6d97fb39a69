package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/output"
)

// A Secret is a file that only root of the node may read: a CHAP password, a
// host key. Its content and hash appear in no report.
type Secret struct {
	Source      string
	Destination string // path in the image, without a slash at the beginning
}

// secretGap is how many zero bytes a file of secrets begins with: with them it may follow any
// image, also one that ends with an lz4 frame, whatever the boot loader puts between; see gap.
const secretGap = 8

// UnmarshalText reads "FILE:DST", or "FILE" for /etc/nodisk/BASENAME.
func (s *Secret) UnmarshalText(text []byte) error {
	source, destination, err := splitPlace(string(text))
	if err != nil {
		return err
	}
	if destination == "" && source == string(text) {
		destination = initramfs.SecretDir + "/" + filepath.Base(source)
	}
	*s = Secret{Source: source, Destination: initramfs.CleanName(destination)}
	if source == "" || s.Destination == "" {
		return fmt.Errorf("%q is not FILE or FILE:DST, a file here and its path in the image", text)
	}
	return nil
}

// readSecrets reads secrets as a segment of their own. Directories that are in no image
// before are made for root alone; those of the list are left as they are.
func readSecrets(list []Secret, folders []initramfs.Entry) (files []initramfs.Entry, warnings []string, err error) {
	var errs []error
	known := make(map[string]bool)
	for _, f := range folders {
		if f.Mode&initramfs.TypeMask == initramfs.TypeDir {
			known[f.Name] = true
		}
	}
	for _, s := range list {
		if err := initramfs.CheckName(s.Destination); err != nil {
			errs = append(errs, fmt.Errorf("read secret %s: %w", s.Source, err))
			continue
		}
		info, err := os.Stat(s.Source)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("read secret: %w", err))
			continue
		case !info.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("read secret %s: it is not a file; give each file by itself", s.Source))
			continue
		case s.Destination == initramfs.ConfigPath || s.Destination == initramfs.InitPath:
			errs = append(errs, fmt.Errorf("read secret %s: /%s is nodisk's own; give another path after the colon",
				s.Source, s.Destination))
			continue
		case info.Mode().Perm()&0o044 != 0:
			warning := fmt.Sprintf("secret %s can be read by other users of this machine: chmod 600 %s",
				s.Source, s.Source)
			if !slices.Contains(warnings, warning) {
				warnings = append(warnings, warning)
			}
		}
		data, err := os.ReadFile(s.Source)
		if err != nil {
			errs = append(errs, fmt.Errorf("read secret: %w", err))
			continue
		}
		for dir := path.Dir(s.Destination); dir != "."; dir = path.Dir(dir) {
			if !known[dir] {
				known[dir] = true
				files = append(
					files,
					initramfs.Entry{
						Name: dir,
						Mode: initramfs.TypeDir | initramfs.SecretDirMode,
						Part: initramfs.PartSecret,
					},
				)
			}
		}
		if slices.ContainsFunc(files, func(f initramfs.Entry) bool { return f.Name == s.Destination }) {
			errs = append(errs, fmt.Errorf("read secret %s: /%s is given twice", s.Source, s.Destination))
			continue
		}
		files = append(
			files,
			initramfs.Entry{
				Name: s.Destination,
				Mode: initramfs.TypeFile | initramfs.SecretMode,
				Data: data,
				Part: initramfs.PartSecret,
			},
		)
	}
	// folders come before what is in them
	slices.SortFunc(files, func(a, b initramfs.Entry) int { return strings.Compare(a.Name, b.Name) })
	return files, warnings, errors.Join(errs...)
}

// ownFolders are the directories every image has, and those of the files.
func ownFolders(files []initramfs.Entry) []initramfs.Entry {
	return append(initramfs.Skeleton(), slices.DeleteFunc(slices.Clone(files), func(f initramfs.Entry) bool {
		// The config's directory is made for it alone; secrets close it.
		return f.Mode&initramfs.TypeMask != initramfs.TypeDir || f.Name == initramfs.SecretDir
	})...)
}

// secretNames are the paths of secrets, for a report.
func secretNames(files []initramfs.Entry) []string {
	var names []string
	for _, f := range files {
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile {
			names = append(names, "/"+f.Name)
		}
	}
	return names
}

// secrets puts the secrets after the other segments, or into a file of their own.
func (b *builder) secrets(
	ctx context.Context,
	list []initramfs.Archive,
	files []initramfs.Entry,
) ([]initramfs.Archive, error) {
	if len(b.spec.Secrets) == 0 {
		if b.spec.SecretOut != "" {
			return nil, errors.New("write secrets: there are none; give some by --secret")
		}
		return list, nil
	}
	folders := ownFolders(files)
	if b.base != nil {
		theirs, err := b.base.folders(b.spec.Secrets)
		if err != nil {
			return nil, err
		}
		folders = append(folders, theirs...)
	}
	inside, warnings, err := readSecrets(b.spec.Secrets, folders)
	if err != nil {
		return nil, err
	}
	for _, f := range inside {
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile &&
			slices.ContainsFunc(files, func(g initramfs.Entry) bool { return g.Name == f.Name }) {
			return nil, fmt.Errorf("put in secret /%s: the image has a file of that name; give another path "+
				"after the colon", f.Name)
		}
	}
	for _, f := range inside {
		if at, _, err := b.links.Lookup(
			f.Name,
			f.Mode&initramfs.TypeMask == initramfs.TypeDir,
		); err != nil ||
			at != f.Name {
			return nil, fmt.Errorf("put in secret /%s: it is behind a link of the added tree, at /%s: give that path "+
				"after the colon", f.Name, at)
		}
	}
	b.report.Warnings = append(b.report.Warnings, warnings...)
	b.report.Secrets = secretNames(inside)
	if b.spec.SecretOut != "" {
		b.report.SecretOut = b.spec.SecretOut
		if b.spec.DryRun {
			return list, nil
		}
		return list, writeSecrets(ctx, &b.outs, inside, b.spec)
	}
	b.private = true
	if !output.IsStream(b.spec.Out) {
		b.report.Notes = append(b.report.Notes,
			fmt.Sprintf("%s can be read by its owner alone (mode 0600), because of the secrets in it: "+
				"give it to the user of the boot server, or put the secrets into a file of their own by --secret-out",
				b.spec.Out))
	}
	return append(list, initramfs.Archive{Files: inside, Compression: b.spec.Compress}), nil
}

// WriteSecrets makes the file Spec.SecretOut, of Spec.Secrets alone. It reports
// their paths in the image, and warnings.
func WriteSecrets(ctx context.Context, s Spec) (names, warnings []string, err error) {
	s.fill()
	if len(s.Secrets) == 0 || s.SecretOut == "" {
		return nil, nil, errors.New("write secrets: give what to write by --secret, and where by --secret-out")
	}
	s.Out, s.SBOM = "", "" // neither is written
	if err := CheckOutputs(s); err != nil {
		return nil, nil, err
	}
	files, warnings, err := readSecrets(s.Secrets, ownFolders(nil))
	if err != nil {
		return nil, nil, err
	}
	outs := output.Set{Stdout: s.Stdout}
	defer func() { err = errors.Join(err, outs.Discard()) }()
	if err := writeSecrets(ctx, &outs, files, s); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := outs.Commit(); err != nil {
		return nil, nil, fmt.Errorf("write secrets: %w", err)
	}
	return secretNames(files), warnings, nil
}

// fill puts in the defaults.
func (s *Spec) fill() {
	if s.Compress == 0 {
		s.Compress = compress.LZ4
	}
	if s.Owner == 0 {
		s.Owner = OwnerRoot
		if os.Geteuid() == 0 {
			s.Owner = OwnerKeep
		}
	}
	if s.Time.IsZero() {
		s.Time = time.Unix(0, 0)
	}
}

// writeSecrets writes the file of secrets.
func writeSecrets(ctx context.Context, o *output.Set, files []initramfs.Entry, s Spec) error {
	var archive, packed bytes.Buffer
	if err := initramfs.WriteCPIO(&archive, files, s.Time); err != nil {
		return err
	}
	packed.Write(make([]byte, secretGap))
	if err := compress.Write(ctx, &packed, s.Compress, archive.Bytes(), func(int) {}); err != nil {
		return err
	}
	if err := o.Write(ctx, s.SecretOut, initramfs.SecretMode, false, packed.Bytes()); err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}
