package build

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/output"
)

const chapPassword = "correct horse battery staple"

func secretSpec(t *testing.T) (s Spec, source string) {
	t.Helper()
	s = testSpec(t, buildtest.Tree(t))
	source = filepath.Join(t.TempDir(), "chap")
	if err := os.WriteFile(source, []byte(chapPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Secrets = []Secret{{source, "etc/nodisk/chap"}, {source, "etc/ssh/host/key"}, {source, "root/key"}}
	return s, source
}

// modes are the entries of a segment as "mode name".
func modes(files []ImageFile, segment int) []string {
	var list []string
	for _, f := range files {
		if f.Segment == segment {
			list = append(list, f.ModeString()+" "+f.Name)
		}
	}
	return list
}

func secretModes() []string {
	return []string{
		"drwx------ etc/nodisk", "-rw------- etc/nodisk/chap", "drwx------ etc/ssh", "drwx------ etc/ssh/host",
		"-rw------- etc/ssh/host/key", "-rw------- root/key",
	}
}

func TestSecretInside(t *testing.T) {
	for _, c := range compress.Compressions() {
		s, _ := secretSpec(t)
		s.Compress, s.SBOM = c, filepath.Join(t.TempDir(), "sbom")
		store := t.TempDir()
		s.Cache = cache.New(store)
		r, image := makeImage(t, s)
		info, err := os.Stat(s.Out)
		if err != nil || info.Mode().Perm() != initramfs.SecretMode {
			t.Errorf("%v: image %v, %v; want mode 0600", c, info.Mode(), err)
		}
		files, segments, err := ReadImage(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		last := len(segments) - 1
		if diff := cmp.Diff(secretModes(), modes(files, last)); diff != "" {
			t.Errorf("%v: (-want +got):\n%s", c, diff)
		}
		contents, err := initramfs.Inspect(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		var text, summary strings.Builder
		if err := contents.WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), ", secrets: mode 0600\n") {
			t.Errorf("%v: inspect does not name the segment of secrets:\n%s", c, text.String())
		}
		if err := r.WriteText(&summary); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(s.SBOM)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"summary": summary.String(), "SBOM": string(list)} {
			if !strings.Contains(text, "/etc/ssh/host/key") {
				t.Errorf("%v: %s does not name the path", c, what)
			}
			if strings.Contains(text, chapPassword) || strings.Contains(text, sum256([]byte(chapPassword))) ||
				strings.Contains(text, sums(initramfs.Entry{Data: []byte(chapPassword)})[0].Value) {
				t.Errorf("%v: %s tells the secret or its hash", c, what)
			}
		}
	}
}

// The file of secrets follows any image, whatever a boot loader pads it with, and
// the image is the same for all nodes.
func TestSecretOut(t *testing.T) {
	for _, c := range []compress.Compression{compress.LZ4, compress.Zstd, compress.None} {
		s, _ := secretSpec(t)
		s.Compress = c
		s.SecretOut = filepath.Join(t.TempDir(), "node7.secret")
		r, image := makeImage(t, s)
		without := s
		without.Secrets, without.SecretOut = nil, ""
		_, common := makeImage(t, without)
		if !bytes.Equal(image, common) {
			t.Errorf("%v: the secrets show in the image", c)
		}
		if !slices.Contains(r.Secrets, "/etc/nodisk/chap") || r.SecretOut != s.SecretOut {
			t.Errorf("%v: report %v, %q", c, r.Secrets, r.SecretOut)
		}
		for at, mode := range map[string]os.FileMode{s.Out: output.ImageMode, s.SecretOut: initramfs.SecretMode} {
			if info, err := os.Stat(at); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%v: %s %v, %v; want %v", c, filepath.Base(at), info.Mode(), err, mode)
			}
		}
		secrets, err := os.ReadFile(s.SecretOut)
		if err != nil {
			t.Fatal(err)
		}
		only := s
		only.SecretOut = filepath.Join(t.TempDir(), "again")
		names, _, err := WriteSecrets(t.Context(), only)
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(only.SecretOut)
		if err != nil || !bytes.Equal(again, secrets) || !slices.Equal(names, r.Secrets) {
			t.Errorf("%v: --secret-only makes another file (%v), of %v", c, err, names)
		}
		for padding := range 9 {
			if c == compress.None && padding&3 != 0 {
				continue // boot loaders pad to four at least, which a plain archive needs
			}
			both := slices.Concat(image, make([]byte, padding), secrets)
			files, _, err := ReadImage(bytes.NewReader(both))
			if err != nil {
				t.Fatalf("%v, %d bytes between: %v", c, padding, err)
			}
			if diff := cmp.Diff(secretModes(), modes(files, files[len(files)-1].Segment)); diff != "" {
				t.Errorf("%v, %d bytes between: (-want +got):\n%s", c, padding, diff)
			}
		}
	}
}

func TestSecretErrors(t *testing.T) {
	s, source := secretSpec(t)
	s.Secrets = []Secret{
		{source + ".gone", "a"}, {filepath.Dir(source), "b"}, {source, initramfs.ConfigPath}, {source, "c"}, {source, "c"},
	}
	_, err := Image(t.Context(), s, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"chap.gone", "is not a file", "/etc/nodisk/nodisk.conf is nodisk's own",
		"/c is given twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	s.Secrets = []Secret{{source, "lib/modules/" + buildtest.Release + "/modules.dep"}}
	if _, err := Image(t.Context(), s, nil); err == nil ||
		!strings.Contains(err.Error(), "the image has a file of that name") {
		t.Errorf("a secret in place of a file of the image: %v", err)
	}
	s.Secrets, s.SecretOut = nil, "x"
	if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "--secret") {
		t.Errorf("no secrets for --secret-out: %v", err)
	}
}

func TestSecretReadableByOthers(t *testing.T) {
	s, source := secretSpec(t)
	if err := os.Chmod(source, 0o644); err != nil { //nolint:gosec // what the test is about
		t.Fatal(err)
	}
	r, _ := makeImage(t, s)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "chmod 600") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestSecretText(t *testing.T) {
	for text, want := range map[string]Secret{
		"keys/chap":         {"keys/chap", "etc/nodisk/chap"},
		"keys/chap:/a//b/c": {"keys/chap", "a/b/c"},
	} {
		var got Secret
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ":x", "x:", "x:/"} {
		if err := new(Secret).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// A destination that is not a path of an image is refused: looking for the directories
// above it would not end.
func TestSecretDestination(t *testing.T) {
	source := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(source, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, destination := range []string{"/etc/key", "", "../key", "..", "etc//key", "etc/"} {
		_, _, err := readSecrets([]Secret{{Source: source, Destination: destination}}, nil)
		if err == nil || !strings.Contains(err.Error(), "is not a path in an image") {
			t.Errorf("%q: %v", destination, err)
		}
	}
}
