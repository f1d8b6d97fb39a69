package initramfs

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/escape"
)

// A contentsJSON is what nodisk inspect --json prints. Names are never changed, only
// added.
type contentsJSON struct {
	Bytes    int64         `json:"bytes"`
	Unpacked int64         `json:"unpacked"`
	Releases []string      `json:"releases"`
	Profiles []string      `json:"profiles"`
	Segments []segmentJSON `json:"segments"`
	Parts    []partJSON    `json:"parts"`
	Config   []string      `json:"config"` // lines; passwords are "***"
	Warnings []string      `json:"warnings,omitempty"`
	// Files []fileJSON `json:"files"` is last, and written one by one: there may be many.
}

type segmentJSON struct {
	Offset      int64  `json:"offset"`
	Bytes       int64  `json:"bytes"`
	Unpacked    int64  `json:"unpacked"`
	Compression string `json:"compression"`
	Files       int    `json:"files"`
}

type partJSON struct {
	Part  string `json:"part"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

type fileJSON struct {
	Path    string  `json:"path"`
	Raw     []byte  `json:"pathBytes,omitempty"` // base64, of a path that is not UTF-8
	Type    string  `json:"type"`
	Mode    string  `json:"mode"` // octal, permissions with set-ID and sticky bits
	UID     uint32  `json:"uid"`
	GID     uint32  `json:"gid"`
	Size    int64   `json:"size"`
	MTime   uint32  `json:"mtime"`
	Target  string  `json:"target,omitempty"`
	LinkTo  string  `json:"hardLinkTo,omitempty"`
	Major   *uint32 `json:"major,omitempty"` // of devices
	Minor   *uint32 `json:"minor,omitempty"`
	Segment int     `json:"segment"` // index into segments
	Part    string  `json:"part"`
	SHA256  string  `json:"sha256,omitempty"` // of regular files that not only root may read
}

// WriteJSON prints the contents as one document. Of files that only root may read, secrets among them,
// there is no hash, and the passwords in the config are left out.
func (c Contents) WriteJSON(w io.Writer) error {
	doc := contentsJSON{
		Bytes: c.Bytes, Unpacked: c.Raw, Releases: unnil(c.Releases), Profiles: unnil(c.Profiles),
		Segments: []segmentJSON{}, Parts: []partJSON{}, Config: []string{}, Warnings: c.Warnings,
	}
	for _, s := range c.Segments {
		doc.Segments = append(doc.Segments, segmentJSON{s.Offset, s.Bytes, s.Raw, s.Compression.String(), s.Files})
	}
	for _, p := range c.Parts {
		doc.Parts = append(doc.Parts, partJSON{p.Part.String(), p.Files, p.Bytes})
	}
	for line := range strings.Lines(c.Config) {
		doc.Config = append(doc.Config, withoutPasswords(strings.TrimSuffix(line, "\n")))
	}
	head, err := marshal(doc)
	if err != nil {
		return err
	}
	one := newJSONText("  ")
	out := bufio.NewWriterSize(w, compress.InputBuffer) // it keeps the first error, for Flush
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("\n}")))
	_, _ = out.WriteString(",\n \"files\": [")
	links := c.links()
	for i := range c.Files {
		f := c.Files[i].json()
		if links[i] >= 0 {
			f.LinkTo = "/" + CleanName(c.Files[links[i]].Name)
		}
		text, err := one.of(f)
		if err != nil {
			return err
		}
		if i > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = out.WriteString("\n  ")
		_, _ = out.Write(text)
	}
	_, _ = out.WriteString("\n ]\n}\n")
	return out.Flush()
}

// writeJSON prints a document that a terminal takes, too.
func writeJSON(w io.Writer, doc any) error {
	text, err := marshal(doc)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	return err
}

// marshal is a value as JSON, without a newline at its end.
func marshal(v any) ([]byte, error) { return newJSONText("").of(v) }

// A jsonText makes JSON of values, one after the other.
type jsonText struct {
	out bytes.Buffer
	e   *json.Encoder
}

// newJSONText puts prefix before each line of a value but the first.
func newJSONText(prefix string) *jsonText {
	j := &jsonText{}
	j.e = json.NewEncoder(&j.out)
	j.e.SetEscapeHTML(false)
	j.e.SetIndent(prefix, " ")
	return j
}

// of is a value as JSON, without a newline at its end, until it is called again.
func (j *jsonText) of(v any) ([]byte, error) {
	j.out.Reset()
	if err := j.e.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return escape.JSON(bytes.TrimSpace(j.out.Bytes())), nil
}

func unnil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (f *File) json() fileJSON {
	path := "/" + CleanName(f.Name)
	j := fileJSON{
		Path: path, Type: typeText(f.Mode), Mode: fmt.Sprintf("%04o", f.Mode&0o7777), UID: f.UID, GID: f.GID,
		Size: f.Size, MTime: f.MTime, Target: f.Target, Segment: f.Segment, Part: f.Part.String(),
	}
	if !utf8.ValidString(path) {
		j.Raw = []byte(path)
	}
	if kind := f.Mode & TypeMask; kind == TypeChar || kind == TypeBlock {
		j.Major, j.Minor = &f.Major, &f.Minor
	}
	if f.Sum != nil && f.Mode&0o077 != 0 {
		j.SHA256 = hex.EncodeToString(f.Sum[:])
	}
	return j
}

// typeText names the type of a file as find(1) and others do.
func typeText(mode uint32) string {
	switch mode & TypeMask {
	case TypeFile:
		return "file"
	case TypeDir:
		return "directory"
	case TypeLink:
		return "symlink"
	case TypeChar:
		return "character device"
	case TypeBlock:
		return "block device"
	case TypeFIFO:
		return "fifo"
	}
	return "other"
}
