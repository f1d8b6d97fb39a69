package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/nodisk/nodisk/build"
)

// An imageJSON is the summary of an image as --json prints it. Names are never changed,
// only added.
type imageJSON struct {
	Image       string           `json:"image"`
	DryRun      bool             `json:"dryRun,omitempty"`
	Kernel      string           `json:"kernel"`
	Profiles    []string         `json:"profiles"`
	Compression string           `json:"compression"`
	Bytes       int64            `json:"bytes,omitempty"`
	SHA256      string           `json:"sha256,omitempty"`
	Unpacked    int64            `json:"unpacked"`
	Parts       map[string]int64 `json:"parts"`
	Modules     []moduleJSON     `json:"modules"`
	Microcode   []string         `json:"microcode,omitempty"`
	Secrets     []string         `json:"secrets,omitempty"`
	SecretFile  string           `json:"secretFile,omitempty"`
	Notes       []string         `json:"notes,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"`
}

type moduleJSON struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// imagesJSON are several images.
type imagesJSON struct {
	Images   []imageJSON `json:"images"`
	Notes    []string    `json:"notes,omitempty"`
	Warnings []string    `json:"warnings,omitempty"`
}

func jsonReport(r build.Report) imageJSON {
	j := imageJSON{
		Image: r.Out, DryRun: r.DryRun, Kernel: r.Release, Profiles: r.Profiles, Compression: r.Compression.String(),
		Bytes: r.Bytes, SHA256: r.SHA256, Unpacked: r.Raw, Parts: make(map[string]int64), Modules: []moduleJSON{},
		Microcode: r.Microcode, Secrets: r.Secrets, SecretFile: r.SecretOut, Notes: r.Notes, Warnings: r.Warnings,
	}
	for _, p := range r.Parts {
		j.Parts[p.Part.String()] = p.Bytes
	}
	for _, m := range r.Modules {
		j.Modules = append(j.Modules, moduleJSON{m.Name, m.Bytes})
	}
	return j
}

func jsonReports(o order, reports []build.Report, trimmed error) imagesJSON {
	all := imagesJSON{Images: []imageJSON{}, Notes: o.notes}
	for _, r := range reports {
		all.Images = append(all.Images, jsonReport(r))
	}
	if trimmed != nil {
		all.Warnings = append(all.Warnings, trimmed.Error())
	}
	return all
}

// writeJSON prints a value for other programs.
func writeJSON(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
