package preflight

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// A counted file counts the bytes that are read of it.
type counted struct {
	*bytes.Reader
	read atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}

// openCounted reads an image, which may take two passes: one lists it, and one reads what is wanted.
func openCounted(t *testing.T, data []byte) (*Image, *counted) {
	t.Helper()
	file := &counted{Reader: bytes.NewReader(data)}
	image, err := ReadImage(t.Context(), Part{Name: "node.img", Reader: file})
	if err != nil {
		t.Fatal(err)
	}
	if n := file.read.Load(); n > 2*int64(len(data)) {
		t.Errorf("of an image of %d bytes, %d were read", len(data), n)
	}
	file.read.Store(0)
	return image, file
}

// The plan unpacks an image twice, however many files it looks into, and modules it loads. In an image with a base
// these lie below a directory of their own.
func TestPassesOfPlan(t *testing.T) {
	const files = 50
	dir := t.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.conf", i)), fmt.Appendf(nil, "options nfsv4 mark%d=1\n", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vendor := filepath.Join(dir, "vendor.img")
	if err := os.WriteFile(vendor, archive(cpioFile{"init", "#!/bin/sh\n", typeFile | 0o755}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"", vendor} {
		image, file := openCounted(t, makeImage(t, "virt,nfs", func(s *build.Spec) {
			s.Base.Image = base
			s.Add = []build.Addition{{Source: dir, Destination: "usr/lib/modprobe.d"}}
		}))
		report, err := Check(t.Context(), Input{Line: cmdline.Parse("root=nfs:10.0.2.2:/x ip=dhcp"), Image: image})
		if err != nil {
			t.Fatal(err)
		}
		if n := file.read.Load(); n != 0 {
			t.Errorf("base %q: the plan read %d more bytes of the image", base, n)
		}
		all := strings.Join(report.Doubts, "\n")
		for i := range files { // the files have their say
			if want := fmt.Sprintf("module nfsv4 has no parameter mark%d:", i); !strings.Contains(all, want) {
				t.Fatalf("base %q: no %q in\n%s", base, want, all)
			}
		}
	}
}

// Nor does an image of others take more passes, which has an /init to look into.
func TestPassesOfForeign(t *testing.T) {
	list := []cpioFile{{"init", "#!/bin/sh\n", typeFile | 0o755}, {"etc/hosts", "10.0.0.1 a\n", typeFile | 0o644}}
	for i := range 50 {
		list = append(list, cpioFile{fmt.Sprintf("usr/lib/modprobe.d/%d.conf", i), "options x y=1\n", typeFile | 0o644})
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(archive(list...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	image, _ := openCounted(t, packed.Bytes())
	if string(image.init) != "#!/bin/sh\n" {
		t.Errorf("its /init begins with %q", image.init)
	}
}

// What an image of anybody says of modules and hosts is bounded.
func TestTextsOfImage(t *testing.T) {
	many := make([]cpioFile, textsMost+1)
	for i := range many {
		many[i] = cpioFile{fmt.Sprintf("etc/modprobe.d/%d.conf", i), "", typeFile | 0o644}
	}
	large := strings.Repeat("#", textsMax/2)
	for name, c := range map[string]struct {
		files []cpioFile
		want  string
	}{
		"many":  {many, "4099 files of modprobe.d"},
		"large": {[]cpioFile{{"etc/hosts", large, typeFile | 0o644}, {"etc/modprobe.d/a.conf", large + "#", typeFile | 0o644}}, "read /etc/hosts: with it modprobe.d, /etc/hosts and /etc/resolv.conf have more than 2 MiB"},
		"right": {[]cpioFile{{"etc/hosts", large, typeFile | 0o644}, {"etc/modprobe.d/a.conf", large, typeFile | 0o644}, {"etc/resolv.conf", "/run/x", typeLink | 0o777}}, ""},
	} {
		_, err := ReadImage(t.Context(), Part{Name: "node.img", Reader: bytes.NewReader(archive(c.files...))})
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
