package build

import (
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
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/ko"
)

// checkSPDX holds a document against the rules of SPDX 2.3 for what it has:
// required fields, forms of identifiers, and that nothing refers to what is not there.
func checkSPDX(t *testing.T, text []byte) v2_3.Document {
	t.Helper()
	var d v2_3.Document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)+"\n"); diff != "" {
		t.Errorf("fields that SPDX does not have (-text +what it has):\n%s", diff)
	}
	if d.SPDXVersion != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.SPDXIdentifier != "DOCUMENT" ||
		d.DocumentName == "" {
		t.Errorf("document %q %q %q %q", d.SPDXVersion, d.DataLicense, d.SPDXIdentifier, d.DocumentName)
	}
	if !regexp.MustCompile(`^https://[^#\s]+$`).MatchString(d.DocumentNamespace) { // 6.5: a URI without "#"
		t.Errorf("namespace %q", d.DocumentNamespace)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", d.CreationInfo.Created); err != nil { // 6.9
		t.Errorf("created: %v", err)
	}
	for _, c := range d.CreationInfo.Creators { // 6.8
		if c.CreatorType != "Tool" || !regexp.MustCompile(`^\S+-\S+$`).MatchString(c.Creator) {
			t.Errorf("creator %+v", c)
		}
	}
	ids := map[common.ElementID]bool{"DOCUMENT": true}
	define := func(id common.ElementID) {
		if !regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`).MatchString(common.RenderElementID(id)) || ids[id] {
			t.Errorf("identifier %q is malformed or there twice", id)
		}
		ids[id] = true
	}
	checksums := func(list []common.Checksum) {
		for _, c := range list {
			if want := map[common.ChecksumAlgorithm]int{
				common.SHA1:   40,
				common.SHA256: 64,
			}[c.Algorithm]; len(c.Value) != want || strings.Trim(c.Value,
				"0123456789abcdef") != "" {
				t.Errorf("checksum %+v", c)
			}
		}
	}
	license := regexp.MustCompile(`^(NOASSERTION|GPL-2\.0-only|LicenseRef-[A-Za-z0-9.-]+)$`)
	for _, p := range d.Packages {
		define(p.PackageSPDXIdentifier)
		checksums(p.PackageChecksums)
		if p.PackageName == "" || p.PackageDownloadLocation == "" || p.PackageCopyrightText == "" || p.FilesAnalyzed ||
			!license.MatchString(p.PackageLicenseConcluded) || !license.MatchString(p.PackageLicenseDeclared) {
			t.Errorf("package %+v lacks something", p)
		}
		for _, r := range p.PackageExternalReferences {
			if r.Category != "PACKAGE-MANAGER" || r.RefType != "purl" || !strings.HasPrefix(r.Locator, "pkg:golang/") {
				t.Errorf("reference %+v", r)
			}
		}
	}
	for _, f := range d.Files {
		define(f.FileSPDXIdentifier)
		checksums(f.Checksums)
		if !strings.HasPrefix(f.FileName, "./") || len(f.Checksums) == 0 || f.Checksums[0].Algorithm != common.SHA1 ||
			f.FileCopyrightText == "" || f.LicenseConcluded == "" || len(f.LicenseInfoInFiles) == 0 {
			t.Errorf("file %+v lacks something", f)
		}
		for _, l := range f.LicenseInfoInFiles {
			known := slices.ContainsFunc(d.OtherLicenses, func(e *v2_3.OtherLicense) bool {
				return e.LicenseIdentifier == l && e.ExtractedText != ""
			})
			if !license.MatchString(l) || strings.HasPrefix(l, "LicenseRef-") && !known {
				t.Errorf("file %s: license %q", f.FileName, l)
			}
		}
	}
	described := false
	for _, r := range d.Relationships {
		if !ids[r.RefA.ElementRefID] || !ids[r.RefB.ElementRefID] {
			t.Errorf("relationship %+v of what is not there", r)
		}
		described = described || r.RefA.ElementRefID == "DOCUMENT" && r.Relationship == common.TypeRelationshipDescribe
	}
	if !described {
		t.Error("the document describes nothing")
	}
	return d
}

func TestSBOM(t *testing.T) {
	s := testSpec(t, buildtest.KernelDir(t))
	s.Kernel = filepath.Join(buildtest.KernelDir(t), "vmlinuz")
	s.SBOM = filepath.Join(t.TempDir(), "sbom.json")
	added := filepath.Join(t.TempDir(), "motd")
	buildtest.Write(t, added, []byte("hello\n"))
	s.Add = []Addition{{added, "/etc/motd"}}
	s.Compress = compress.None
	r, _ := makeImage(t, s)
	text, err := os.ReadFile(s.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	d := checkSPDX(t, text)
	if d.CreationInfo.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("created %s, want SOURCE_DATE_EPOCH", d.CreationInfo.Created)
	}
	packages := make(map[string]*v2_3.Package)
	for _, p := range d.Packages {
		packages[p.PackageName] = p
	}
	if p := packages["linux"]; p == nil || p.PackageVersion != r.Release || p.PackageChecksums == nil {
		t.Errorf("no kernel: %+v", p)
	}
	if p := packages["/etc/nodisk/nodisk.conf"]; p == nil || p.PackageChecksums != nil {
		t.Errorf("the config, which may hold passwords: %+v", p)
	}
	files := make(map[string]*v2_3.File)
	for _, f := range d.Files {
		files[f.FileName] = f
	}
	for _, m := range r.Modules {
		if !slices.ContainsFunc(d.Files, func(f *v2_3.File) bool {
			return ko.ModuleName(filepath.Base(f.FileName)) == m.Name && f.FileComment != ""
		}) {
			t.Errorf("module %s is missing", m.Name)
		}
	}
	ext4 := files["./lib/modules/"+r.Release+"/kernel/fs/ext4/ext4.ko"]
	if ext4 == nil {
		t.Fatal("ext4 is missing")
	}
	data, err := os.ReadFile(filepath.Join(buildtest.KernelDir(t), ext4.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if ext4.Checksums[1].Value != sum256(data) || !slices.Equal(ext4.LicenseInfoInFiles, []string{"GPL-2.0-only"}) ||
		!strings.Contains(ext4.FileComment, "vermagic="+r.Release) {
		t.Errorf("ext4: %+v", ext4)
	}
	if f := files["./etc/motd"]; f == nil || len(f.Checksums) != 2 ||
		f.Checksums[1].Value != sum256([]byte("hello\n")) {
		t.Errorf("the added file: %+v", f)
	}
}

// A Go program is listed with the modules that are linked into it; two that share
// some have them once.
func TestSBOMProgram(t *testing.T) {
	shared := &debug.Module{Path: "example.org/Shared", Version: "v1.2.3", Sum: "h1:abc="}
	old := &debug.Module{Path: "example.org/old", Version: "v0.1.0", Replace: &debug.Module{
		Path:    "example.org/fork",
		Version: "v0.2.0",
	}}
	s := &bom{ids: make(map[common.ElementID]bool)}
	s.program("/init", sum256(nil), &buildinfo.BuildInfo{
		GoVersion: "go1.26.0", Path: "p/init",
		Deps: []*debug.Module{shared, old},
	})
	s.program("/bin/sh", sum256(nil), &buildinfo.BuildInfo{
		GoVersion: "go1.26.0", Path: "p/sh",
		Deps: []*debug.Module{shared},
	})
	var list []string
	for _, p := range s.doc.Packages {
		line := p.PackageName + " " + p.PackageVersion
		for _, r := range p.PackageExternalReferences {
			line += " " + r.Locator
		}
		list = append(list, line)
	}
	for _, r := range s.doc.Relationships {
		list = append(list, common.RenderDocElementID(r.RefA)+" "+r.Relationship+" "+common.RenderDocElementID(r.RefB))
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
