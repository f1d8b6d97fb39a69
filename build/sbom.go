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

	"github.com/nodisk/nodisk/build/ko"
)

// A bom collects what is in an image as an SPDX 2.3 document.
type bom struct {
	doc      spdxDocument
	ids      map[string]bool
	licenses map[string]string // LicenseRef by the text of modinfo
}

const imageID = "SPDXRef-Image"

// writeSBOM writes what is in the image, which has been written. It says nothing that
// would not be the same in another build of the same input: no host, no user, no hour.
func (b *builder) writeSBOM(ctx context.Context, list []segmentBlocks) error {
	if b.spec.SBOM == "" {
		return nil
	}
	s := &bom{ids: make(map[string]bool), licenses: make(map[string]string)}
	name := filepath.Base(b.spec.Out)
	s.doc = spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		Namespace: "https://github.com/nodisk/nodisk/spdx/" + spdxWord(name) + "-" + b.report.SHA256,
		Creation: spdxCreation{Created: b.spec.Time.UTC().Format(time.RFC3339),
			Creators: []string{"Tool: nodisk-" + ownVersion()}},
	}
	s.ids[imageID] = true
	s.addPackage(spdxPackage{
		ID: imageID, Name: name, Purpose: "ARCHIVE", Checksums: []spdxChecksum{{"SHA256", b.report.SHA256}},
		Comment: "initramfs for Linux " + b.report.Release + ", profiles " + strings.Join(b.report.Profiles, ", "),
	})
	s.relate("SPDXRef-DOCUMENT", "DESCRIBES", imageID)
	if err := s.kernel(b.spec.Kernel, b.report.Release); err != nil {
		return fmt.Errorf("write SBOM: %w", err)
	}
	for _, p := range list {
		if p.source != nil {
			id := s.addPackage(spdxPackage{
				Name: "base image", Purpose: "ARCHIVE", Checksums: []spdxChecksum{{"SHA256", b.base.origin.sha256}},
				Comment: "taken over as it is; what is in it is not listed",
			})
			s.relate(imageID, "CONTAINS", id)
			continue
		}
		for _, f := range p.files {
			if f.mode&typeMask == typeFile {
				s.file(f)
			}
		}
	}
	text, err := json.MarshalIndent(s.doc, "", "  ")
	if err == nil {
		err = b.outs.write(ctx, b.spec.SBOM, imageMode, true, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write SBOM: %w", err)
	}
	return nil
}

// ownVersion is the version of this program.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return strings.Trim(info.Main.Version, "()")
	}
	return "unknown"
}

// kernel is not in the image, but what is there runs on it.
func (s *bom) kernel(at, release string) error {
	p := spdxPackage{Name: "linux", Version: release, Purpose: "OPERATING-SYSTEM", Declared: "GPL-2.0-only"}
	if at != "" {
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		p.Checksums = []spdxChecksum{{"SHA256", sum256(data)}}
	}
	s.relate(s.addPackage(p), "RUNTIME_DEPENDENCY_OF", imageID)
	return nil
}

// file adds a regular file. Of one that only root may read nothing but the path is said.
func (s *bom) file(f file) {
	name := "/" + f.name
	if f.mode&0o077 == 0 {
		id := s.addPackage(spdxPackage{Name: name, Purpose: "FILE", Comment: "for root alone: neither content nor " +
			"hash is listed"})
		s.relate(imageID, "CONTAINS", id)
		return
	}
	if f.part == PartInit || f.part == PartRescue {
		if info, err := buildinfo.Read(bytes.NewReader(f.data)); err == nil {
			s.program(name, sum256(f.data), info)
			return
		}
	}
	one := spdxFile{
		Name: "." + name, Types: []string{"OTHER"}, Concluded: noAssertion, Copyright: noAssertion,
		Licenses: []string{noAssertion}, Checksums: sums(f),
	}
	switch f.part {
	case PartModules:
		one.Types = []string{"BINARY"}
		if m, err := ko.Parse(f.data); err == nil { // --no-check takes anything
			one.Comment = moduleComment(m)
			one.Licenses = []string{s.license(m.Field("license"))}
		}
	case PartFirmware, PartRescue, PartMicrocode:
		one.Types = []string{"BINARY"}
	case PartConfig, PartIndexes:
		one.Types = []string{"TEXT"}
		if strings.HasSuffix(f.name, ".bin") {
			one.Types = []string{"BINARY"}
		}
	default:
	}
	one.ID = s.id("File-" + f.name)
	s.doc.Files = append(s.doc.Files, one)
	s.relate(imageID, "CONTAINS", one.ID)
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

// license is what modinfo says, as SPDX has it. The kernel's names do not tell
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
	s.doc.Licenses = append(s.doc.Licenses, spdxLicense{ID: id, Text: "MODULE_LICENSE(\"" + text + "\")", Name: text})
	return id
}

// program adds a Go program with the modules it is linked from.
func (s *bom) program(name, sum string, info *buildinfo.BuildInfo) {
	id := s.addPackage(spdxPackage{
		Name: name, Version: strings.Trim(info.Main.Version, "()"), Purpose: "APPLICATION",
		Checksums: []spdxChecksum{{"SHA256", sum}}, Comment: "Go program " + info.Path,
	})
	s.relate(imageID, "CONTAINS", id)
	deps := []*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		deps = append(deps, d)
	}
	for _, d := range deps {
		p := spdxPackage{
			Name: d.Path, Version: d.Version, Purpose: "LIBRARY",
			References: []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + d.Path + "@" + d.Version}},
		}
		if d.Sum != "" {
			p.Comment = "go.sum " + d.Sum
		}
		p.ID = "SPDXRef-Go-" + spdxWord(d.Path+"-"+d.Version)
		if !s.ids[p.ID] { // the rescue shell has some of /init's
			s.ids[p.ID] = true
			s.addPackage(p)
		}
		s.relate(id, "STATIC_LINK", p.ID)
	}
}

func (s *bom) addPackage(p spdxPackage) string {
	if p.ID == "" {
		p.ID = s.id("Package-" + p.Name)
	}
	p.Location = noAssertion
	p.Concluded, p.Copyright = noAssertion, noAssertion
	p.Declared = cmp.Or(p.Declared, noAssertion)
	s.doc.Packages = append(s.doc.Packages, p)
	return p.ID
}

func (s *bom) relate(from, how, to string) {
	s.doc.Relationships = append(s.doc.Relationships, spdxRelationship{from, how, to})
}

// id makes a unique one of letters, digits, "." and "-".
func (s *bom) id(name string) string {
	id := "SPDXRef-" + spdxWord(name)
	for n := 2; s.ids[id]; n++ {
		id = fmt.Sprintf("SPDXRef-%s-%d", spdxWord(name), n)
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

func sums(f file) []spdxChecksum {
	s := newSourceSums()
	if f.source == nil {
		s.add(f.data)
	} else {
		s = f.source.sums // of its content, which has been read for the image
	}
	return []spdxChecksum{{"SHA1", hex.EncodeToString(s.sha1.Sum(nil))}, {"SHA256",
		hex.EncodeToString(s.sha256.Sum(nil))}}
}
