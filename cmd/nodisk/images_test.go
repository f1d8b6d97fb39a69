package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// The tests have a cache of their own, not the user's.
func TestMain(m *testing.M) {
	if peak := os.Getenv(asCommand); peak != "" {
		os.Exit(beCommand(peak)) //nolint:forbidigo // the process is nodisk's
	}
	dir, err := os.MkdirTemp("", "nodisk-cache-")
	if err == nil {
		err = os.Setenv("NODISK_CACHE", dir)
	}
	if err != nil {
		panic(err)
	}
	m.Run() // its status becomes that of the process
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
}

// imageInit writes the least that passes for /init of amd64.
func imageInit(t *testing.T) string {
	t.Helper()
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(head[16:], 2)  // ET_EXEC
	le.PutUint16(head[18:], 62) // EM_X86_64
	le.PutUint32(head[20:], 1)
	le.PutUint16(head[52:], 64)
	le.PutUint16(head[54:], 56)
	le.PutUint16(head[58:], 64)
	at := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(at, head, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// Thirty images of one tree are those that would be made one by one. That they share
// the work is tested in package build (TestCacheSharesBlocks).
func TestImages(t *testing.T) {
	kernel := kernelDir(t)
	program := imageInit(t)
	t.Setenv("NODISK_CACHE", filepath.Join(t.TempDir(), "cache"))
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const count = 30
	var list strings.Builder
	fmt.Fprintf(&list, "common:\n  kernel: %s/vmlinuz\n  modules: %s\n  init: %s\n  profile: virt\nimages:\n",
		kernel, kernel, program)
	for i := range count {
		write(fmt.Sprintf("%d.conf", i), fmt.Sprintf("nodisk.hostname=node%d\n", i))
		write(fmt.Sprintf("%d.key", i), fmt.Sprintf("secret %d", i))
		fmt.Fprintf(&list, "- out: %s\n  config: %s\n  secret: [%s:/etc/nodisk/key]\n", at(fmt.Sprintf("%d.img", i)),
			at(fmt.Sprintf("%d.conf", i)), at(fmt.Sprintf("%d.key", i)))
		if i%3 == 0 {
			fmt.Fprintf(&list, "  secret-out: %s\n  module: [bonding]\n", at(fmt.Sprintf("%d.secret", i)))
		}
	}
	write("images.yaml", list.String())
	began := time.Now()
	one := at("one.img")
	if status, _, stderr := nodisk("build", "--no-cache", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules",
		kernel, "--init", program,
		"--profile", "virt", "--module", "bonding", "--config", at("3.conf"), "--out", one); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	alone := time.Since(began)

	began = time.Now()
	status, stdout, stderr := nodisk("build", "--no-cache", "--images", at("images.yaml"))
	all := time.Since(began)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	t.Logf("one image %v, %d images %v", alone, count, all)
	if !strings.Contains(stdout, "30 images, ") {
		t.Errorf("no summary in %q", stdout)
	}
	for i := range count {
		if _, err := os.Stat(at(fmt.Sprintf("%d.img", i))); err != nil {
			t.Error(err)
		}
	}
	same := func(a, b string) {
		t.Helper()
		x, err := os.ReadFile(at(a))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(at(b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s and %s differ", a, b)
		}
	}
	same("one.img", "3.img")
	if status, _, stderr := nodisk("build", "--secret-only", "--secret", at("3.key")+":/etc/nodisk/key", "--secret-out",
		at("again.secret")); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	same("again.secret", "3.secret")
}

// orderOf is what nodisk build with these arguments is to make.
func orderOf(args ...string) (order, error) {
	var b buildCmd
	parser, err := kong.New(&b, vars())
	if err != nil {
		return order{}, err
	}
	line, err := parser.Parse(args)
	if err != nil {
		return order{}, err
	}
	return b.order(context.Background(), givenOf(line))
}

// listFile writes a file for --images.
func listFile(t *testing.T, text string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestImagesErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"unknown flag": {"images:\n- out: a\n  profil: virt\n- out: b\n  kernl: x\n", []string{
			`images.yaml:3: unknown key "profil", did you mean profile?`,
			`images.yaml:5: unknown key "kernl", did you mean kernel?`,
		}},
		"unknown key": {"image:\n- out: a\n", []string{`images.yaml:1: unknown key "image", did you mean images?`,
			`"images:"`}},
		"no out": {"images:\n- modules: /\n", []string{`images.yaml:2: image 1: it has no "out: FILE"`}},
		"none":   {"common:\n  profile: virt\n", []string{"there are no images"}},
		"empty":  {"", []string{`"images:"`}},
		"not for one": {"common:\n  no-cache: true\nimages:\n- out: a\n",
			[]string{`"no-cache" is for the command line`}},
		"a map": {"images:\n- out: a\n  profile: {x: y}\n", []string{"images.yaml:3: profile: ",
			"neither a text nor a list"}},
		"a bad value": {"images:\n- out: a\n  compress: bzip2\n  kernel: nowhere\n",
			[]string{"images.yaml:3: --compress", "lz4, zstd", "images.yaml:4: --kernel"}},
	} {
		o, err := orderOf("--site", "none", "--images", listFile(t, tt.text))
		if err == nil {
			t.Errorf("%s: no error, %d requests", name, len(o.requests))
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", name, err, want)
			}
		}
		for _, internal := range []string{"unmarshal", "main.", "field "} {
			if strings.Contains(err.Error(), internal) {
				t.Errorf("%s: error %q has %q, which does not concern the user", name, err, internal)
			}
		}
	}
}

func TestImagesFlags(t *testing.T) {
	list := listFile(t, "common:\n  modules: /\n  profile: virt\n  compress: zstd\n  module: [a]\n"+
		"images:\n- out: x\n  strip-signatures: true\n  module: [b, c]\n- out: y\n  compress: xz\n"+
		"  strip-signatures: false\n  profile: [ext4]\n  module: [1]\n")
	for _, tt := range []struct{ args, want []string }{
		{nil, []string{"x zstd [virt] [a b c] true", "y xz [virt ext4] [a 1] false"}},
		// What the command line says counts before all files.
		{[]string{"--compress", "gzip", "--profile=nfs"}, []string{"x gzip [nfs] [a b c] true",
			"y gzip [nfs] [a 1] false"}},
	} {
		o, err := orderOf(append(tt.args, "--site", "none", "--images", list)...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range o.requests {
			s := r.spec
			got = append(got, fmt.Sprintf("%s %v %v %v %v", s.Out, s.Compress, s.Profiles, s.ExtraModules,
				s.StripSignatures))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.args, diff)
		}
	}
}

func TestTreeFlag(t *testing.T) {
	kernel := kernelDir(t)
	t.Setenv("NODISK_CACHE", t.TempDir())
	at := filepath.Join(t.TempDir(), "image")
	status, built, stderr := nodisk("build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules",
		kernel, "--init", imageInit(t),
		"--profile", "virt", "--out", at, "--tree")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	status, inspected, stderr := nodisk("inspect", "--tree", at)
	if status != 0 || !strings.Contains(inspected, "drivers") || !strings.HasSuffix(built, inspected) {
		t.Errorf("status %d, %s\nbuild:\n%s\ninspect:\n%s", status, stderr, built, inspected)
	}
}
