package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/program"
)

// A bom collects what is in an image as an SPDX 2.3 document.
type bom struct {
	doc      v2_3.Document
	ids      map[common.ElementID]bool
	licenses map[string]string // LicenseRef by the text of modinfo
}

const (
	documentID  = "DOCUMENT"
	imageID     = "Image"
	noAssertion = "NOASSERTION" // where nothing is claimed
)

// writeSBOM writes what is in the image, which has been written. It says nothing that
// would not be the same in another build of the same input: no host, no user, no hour.
func (b *builder) writeSBOM(ctx context.Context, list []initramfs.ArchiveBlocks) error {
	if b.spec.SBOM == "" {
		return nil
	}
	s := &bom{ids: make(map[common.ElementID]bool), licenses: make(map[string]string)}
	name := filepath.Base(b.spec.Out)
	s.doc = v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: documentID, DocumentName: name,
		DocumentNamespace: "https://github.com/nodisk/nodisk/spdx/" + spdxWord(name) + "-" + b.report.SHA256,
		CreationInfo: &v2_3.CreationInfo{
			Created:  b.spec.Time.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "nodisk-" + program.Version()}},
		},
	}
	s.ids[imageID] = true
	s.addPackage(&v2_3.Package{
		PackageSPDXIdentifier: imageID, PackageName: name, PrimaryPackagePurpose: "ARCHIVE",
		PackageChecksums: sha256Is(b.report.SHA256),
		PackageComment: "initramfs for Linux " + b.report.Release + ", profiles " + strings.Join(b.report.Profiles,
			", "),
	})
	s.relate(documentID, common.TypeRelationshipDescribe, imageID)
	if err := s.kernel(b.spec.Kernel, b.report.Release); err != nil {
		return fmt.Errorf("write SBOM: %w", err)
	}
	for _, p := range list {
		if p.Source != nil {
			id := s.addPackage(&v2_3.Package{
				PackageName: "base image", PrimaryPackagePurpose: "ARCHIVE",
				PackageChecksums: sha256Is(b.base.origin.sha256),
				PackageComment:   "taken over as it is; what is in it is not listed",
			})
			s.relate(imageID, common.TypeRelationshipContains, id)
			continue
		}
		for _, f := range p.Files {
			if f.Mode&initramfs.TypeMask == initramfs.TypeFile {
				s.file(f)
			}
		}
	}
	text, err := json.MarshalIndent(s.doc, "", "  ")
	if err == nil {
		err = b.outs.Write(ctx, b.spec.SBOM, output.ImageMode, true, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write SBOM: %w", err)
	}
	return nil
}

// kernel is not in the image, but what is there runs on it.
func (s *bom) kernel(at, release string) error {
	p := &v2_3.Package{
		PackageName: "linux", PackageVersion: release, PrimaryPackagePurpose: "OPERATING-SYSTEM",
		PackageLicenseDeclared: "GPL-2.0-only",
	}
	if at != "" {
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		p.PackageChecksums = sha256Is(sum256(data))
	}
	s.relate(s.addPackage(p), common.TypeRelationshipRuntimeDependencyOf, imageID)
	return nil
}

// file adds a regular file. Of one that only root may read nothing but the path is said.
func (s *bom) file(f initramfs.Entry) {
	name := "/" + f.Name
	if f.Mode&0o077 == 0 {
		id := s.addPackage(&v2_3.Package{
			PackageName: name, PrimaryPackagePurpose: "FILE", PackageComment: "for root alone: neither content nor " +
				"hash is listed",
		})
		s.relate(imageID, common.TypeRelationshipContains, id)
		return
	}
	if f.Part == initramfs.PartInit || f.Part == initramfs.PartRescue {
		if info, err := buildinfo.Read(bytes.NewReader(f.Data)); err == nil {
			s.program(name, sum256(f.Data), info)
			return
		}
	}
	one := &v2_3.File{
		FileName: "." + name, FileTypes: []string{"OTHER"}, LicenseConcluded: noAssertion,
		FileCopyrightText:  noAssertion,
		LicenseInfoInFiles: []string{noAssertion}, Checksums: sums(f),
	}
	switch f.Part {
	case initramfs.PartModules:
		one.FileTypes = []string{"BINARY"}
		if m, err := ko.Parse(f.Data); err == nil { // --no-check takes anything
			one.FileComment = moduleComment(m)
			one.LicenseInfoInFiles = []string{s.license(m.Field("license"))}
		}
	case initramfs.PartFirmware, initramfs.PartRescue, initramfs.PartMicrocode:
		one.FileTypes = []string{"BINARY"}
	case initramfs.PartConfig, initramfs.PartIndexes:
		one.FileTypes = []string{"TEXT"}
		if strings.HasSuffix(f.Name, ".bin") {
			one.FileTypes = []string{"BINARY"}
		}
	default:
	}
	one.FileSPDXIdentifier = s.id("File-" + f.Name)
	s.doc.Files = append(s.doc.Files, one)
	s.relate(imageID, common.TypeRelationshipContains, one.FileSPDXIdentifier)
}

// moduleComment are the fields of .modinfo that tell one build of a module from
// another.
func moduleComment(m *ko.Module) string {
	var fields []string
	for _, key := range []string{"version", "srcversion", "vermagic"} {
		if v := strings.TrimSpace(m.Field(key)); v != "" {
			fields = append(fields, key+"="+v)
		}
	}
	if m.Signature == nil {
		fields = append(fields, "unsigned")
	}
	return strings.Join(fields, "; ")
}

// license is what modinfo says, as SPDX has it. The kernel's words do not tell
// "only" from "or later", and not which BSD licence (Documentation/process/license-rules.rst), so
// only the whole kernel's is named; others are kept as they are.
func (s *bom) license(text string) string {
	switch text {
	case "":
		return noAssertion
	case "GPL", "GPL v2":
		return "GPL-2.0-only"
	}
	if id, ok := s.licenses[text]; ok {
		return id
	}
	id := "LicenseRef-modinfo-" + spdxWord(text)
	s.licenses[text] = id
	s.doc.OtherLicenses = append(s.doc.OtherLicenses, &v2_3.OtherLicense{
		LicenseIdentifier: id, ExtractedText: "MODULE_LICENSE(\"" + text + "\")", LicenseName: text,
	})
	return id
}

// program adds a Go program with the modules it is linked from.
func (s *bom) program(name, sum string, info *buildinfo.BuildInfo) {
	id := s.addPackage(&v2_3.Package{
		PackageName: name, PackageVersion: strings.Trim(info.Main.Version, "()"), PrimaryPackagePurpose: "APPLICATION",
		PackageChecksums: sha256Is(sum), PackageComment: "Go program " + info.Path,
	})
	s.relate(imageID, common.TypeRelationshipContains, id)
	deps := []*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		deps = append(deps, d)
	}
	for _, d := range deps {
		p := &v2_3.Package{
			PackageName: d.Path, PackageVersion: d.Version, PrimaryPackagePurpose: "LIBRARY",
			PackageExternalReferences: []*v2_3.PackageExternalReference{{
				Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
				Locator: "pkg:golang/" + d.Path + "@" + d.Version,
			}},
		}
		if d.Sum != "" {
			p.PackageComment = "go.sum " + d.Sum
		}
		p.PackageSPDXIdentifier = common.ElementID("Go-" + spdxWord(d.Path+"-"+d.Version))
		if !s.ids[p.PackageSPDXIdentifier] { // the rescue shell has some of /init's
			s.ids[p.PackageSPDXIdentifier] = true
			s.addPackage(p)
		}
		s.relate(id, common.TypeRelationshipStaticLink, p.PackageSPDXIdentifier)
	}
}

func (s *bom) addPackage(p *v2_3.Package) common.ElementID {
	if p.PackageSPDXIdentifier == "" {
		p.PackageSPDXIdentifier = s.id("Package-" + p.PackageName)
	}
	p.PackageDownloadLocation = noAssertion
	p.PackageLicenseConcluded, p.PackageCopyrightText = noAssertion, noAssertion
	p.PackageLicenseDeclared = cmp.Or(p.PackageLicenseDeclared, noAssertion)
	s.doc.Packages = append(s.doc.Packages, p)
	return p.PackageSPDXIdentifier
}

func (s *bom) relate(from common.ElementID, how string, to common.ElementID) {
	s.doc.Relationships = append(s.doc.Relationships, &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: how, RefB: common.DocElementID{ElementRefID: to},
	})
}

// id makes a unique one of letters, digits, "." and "-".
func (s *bom) id(name string) common.ElementID {
	id := common.ElementID(spdxWord(name))
	for n := 2; s.ids[id]; n++ {
		id = common.ElementID(fmt.Sprintf("%s-%d", spdxWord(name), n))
	}
	s.ids[id] = true
	return id
}

func spdxWord(name string) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, path.Clean(name))
	return strings.Trim(word, "-")
}

func sum256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func sha256Is(sum string) []common.Checksum {
	return []common.Checksum{{Algorithm: common.SHA256, Value: sum}}
}

func sums(f initramfs.Entry) []common.Checksum {
	s := initramfs.NewSums()
	if f.Source == nil {
		s.Add(f.Data)
	} else {
		s = f.Source.Sums // of its content, which has been read for the image
	}
	return []common.Checksum{
		{Algorithm: common.SHA1, Value: hex.EncodeToString(s.SHA1.Sum(nil))},
		{Algorithm: common.SHA256, Value: hex.EncodeToString(s.SHA256.Sum(nil))},
	}
}
