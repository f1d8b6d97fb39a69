package build

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkSPDX holds a document against the rules of SPDX 2.3 for what it has:
// required fields, forms of identifiers, and that nothing refers to what is not there.
func checkSPDX(t *testing.T, text []byte) spdxDocument {
	t.Helper()
	var d spdxDocument
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Version != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.ID != "SPDXRef-DOCUMENT" || d.Name == "" {
		t.Errorf("document %q %q %q %q", d.Version, d.DataLicense, d.ID, d.Name)
	}
	if !regexp.MustCompile(`^https://[^#\s]+$`).MatchString(d.Namespace) { // 6.5: a URI without "#"
		t.Errorf("namespace %q", d.Namespace)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", d.Creation.Created); err != nil { // 6.9
		t.Errorf("created: %v", err)
	}
	for _, c := range d.Creation.Creators { // 6.8
		if !regexp.MustCompile(`^Tool: \S+-\S+$`).MatchString(c) {
			t.Errorf("creator %q", c)
		}
	}
	ids := map[string]bool{"SPDXRef-DOCUMENT": true}
	define := func(id string) {
		if !regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`).MatchString(id) || ids[id] {
			t.Errorf("identifier %q is malformed or there twice", id)
		}
		ids[id] = true
	}
	checksums := func(list []spdxChecksum) {
		for _, c := range list {
			if want := map[string]int{"SHA1": 40, "SHA256": 64}[c.Algorithm]; len(c.Value) != want ||
				strings.Trim(c.Value, "0123456789abcdef") != "" {
				t.Errorf("checksum %+v", c)
			}
		}
	}
	license := regexp.MustCompile(`^(NOASSERTION|GPL-2\.0-only|LicenseRef-[A-Za-z0-9.-]+)$`)
	for _, p := range d.Packages {
		define(p.ID)
		checksums(p.Checksums)
		if p.Name == "" || p.Location == "" || p.Copyright == "" || !license.MatchString(p.Concluded) ||
			!license.MatchString(p.Declared) {
			t.Errorf("package %+v lacks something", p)
		}
		for _, r := range p.References {
			if r.Category != "PACKAGE-MANAGER" || r.Type != "purl" || !strings.HasPrefix(r.Locator, "pkg:golang/") {
				t.Errorf("reference %+v", r)
			}
		}
	}
	for _, f := range d.Files {
		define(f.ID)
		checksums(f.Checksums)
		if !strings.HasPrefix(f.Name, "./") || len(f.Checksums) == 0 || f.Checksums[0].Algorithm != "SHA1" ||
			f.Copyright == "" || len(f.Licenses) == 0 {
			t.Errorf("file %+v lacks something", f)
		}
		for _, l := range f.Licenses {
			known := slices.ContainsFunc(d.Licenses, func(e spdxLicense) bool { return e.ID == l && e.Text != "" })
			if !license.MatchString(l) || strings.HasPrefix(l, "LicenseRef-") && !known {
				t.Errorf("file %s: license %q", f.Name, l)
			}
		}
	}
	described := false
	for _, r := range d.Relationships {
		if !ids[r.From] || !ids[r.To] {
			t.Errorf("relationship %+v of what is not there", r)
		}
		described = described || r.From == "SPDXRef-DOCUMENT" && r.How == "DESCRIBES"
	}
	if !described {
		t.Error("the document describes nothing")
	}
	return d
}

func TestSBOM(t *testing.T) {
	s := testSpec(t, kernelDir(t))
	s.Kernel = filepath.Join(kernelDir(t), "vmlinuz")
	s.SBOM = filepath.Join(t.TempDir(), "sbom.json")
	added := filepath.Join(t.TempDir(), "motd")
	write(t, added, []byte("hello\n"))
	s.Add = []Addition{{added, "/etc/motd"}}
	s.Compress = None
	r, _ := makeImage(t, s)
	text, err := os.ReadFile(s.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	d := checkSPDX(t, text)
	if d.Creation.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("created %s, want SOURCE_DATE_EPOCH", d.Creation.Created)
	}
	packages := make(map[string]spdxPackage)
	for _, p := range d.Packages {
		packages[p.Name] = p
	}
	if p := packages["linux"]; p.Version != r.Release || p.Checksums == nil {
		t.Errorf("no kernel: %+v", p)
	}
	if p := packages["/etc/nodisk/nodisk.conf"]; p.Name == "" || p.Checksums != nil {
		t.Errorf("the config, which may hold passwords: %+v", p)
	}
	files := make(map[string]spdxFile)
	for _, f := range d.Files {
		files[f.Name] = f
	}
	for _, m := range r.Modules {
		if !slices.ContainsFunc(d.Files, func(f spdxFile) bool {
			return moduleName(filepath.Base(f.Name)) == m.Name && f.Comment != ""
		}) {
			t.Errorf("module %s is missing", m.Name)
		}
	}
	ext4 := files["./lib/modules/"+r.Release+"/kernel/fs/ext4/ext4.ko"]
	data, err := os.ReadFile(filepath.Join(kernelDir(t), ext4.Name))
	if err != nil {
		t.Fatal(err)
	}
	if ext4.Checksums[1].Value != sum256(data) || !slices.Equal(ext4.Licenses, []string{"GPL-2.0-only"}) ||
		!strings.Contains(ext4.Comment, "vermagic="+r.Release) {
		t.Errorf("ext4: %+v", ext4)
	}
	if f := files["./etc/motd"]; len(f.Checksums) != 2 || f.Checksums[1].Value != sum256([]byte("hello\n")) {
		t.Errorf("the added file: %+v", f)
	}
}

// A Go program is listed with the modules that are linked into it; two that share
// some have them once.
func TestSBOMProgram(t *testing.T) {
	shared := &debug.Module{Path: "example.org/Shared", Version: "v1.2.3", Sum: "h1:abc="}
	old := &debug.Module{Path: "example.org/old", Version: "v0.1.0", Replace: &debug.Module{Path: "example.org/fork",
		Version: "v0.2.0"}}
	s := &bom{ids: make(map[string]bool)}
	s.program("/init", sum256(nil), &buildinfo.BuildInfo{GoVersion: "go1.26.0", Path: "p/init",
		Deps: []*debug.Module{shared, old}})
	s.program("/bin/sh", sum256(nil), &buildinfo.BuildInfo{GoVersion: "go1.26.0", Path: "p/sh",
		Deps: []*debug.Module{shared}})
	var list []string
	for _, p := range s.doc.Packages {
		line := p.Name + " " + p.Version
		for _, r := range p.References {
			line += " " + r.Locator
		}
		list = append(list, line)
	}
	for _, r := range s.doc.Relationships {
		list = append(list, r.From+" "+r.How+" "+r.To)
	}
	want := []string{
		"/init ", "stdlib 1.26.0 pkg:golang/stdlib@1.26.0",
		"example.org/Shared v1.2.3 pkg:golang/example.org/Shared@v1.2.3",
		"example.org/fork v0.2.0 pkg:golang/example.org/fork@v0.2.0", "/bin/sh ",
		"SPDXRef-Image CONTAINS SPDXRef-Package--init",
		"SPDXRef-Package--init STATIC_LINK SPDXRef-Go-stdlib-1.26.0",
		"SPDXRef-Package--init STATIC_LINK SPDXRef-Go-example.org-Shared-v1.2.3",
		"SPDXRef-Package--init STATIC_LINK SPDXRef-Go-example.org-fork-v0.2.0",
		"SPDXRef-Image CONTAINS SPDXRef-Package--bin-sh",
		"SPDXRef-Package--bin-sh STATIC_LINK SPDXRef-Go-stdlib-1.26.0",
		"SPDXRef-Package--bin-sh STATIC_LINK SPDXRef-Go-example.org-Shared-v1.2.3",
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
