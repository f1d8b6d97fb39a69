package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/preflight"
	"github.com/nodisk/nodisk/internal/escape"
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
	Microcode   []microcodeJSON  `json:"microcode,omitempty"`
	Secrets     []string         `json:"secrets,omitempty"`
	SecretFile  string           `json:"secretFile,omitempty"`
	Notes       []string         `json:"notes,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"`
}

type microcodeJSON struct {
	Path    string   `json:"path"`
	Updates []string `json:"updates"`
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
		Secrets: r.Secrets, SecretFile: r.SecretOut, Notes: r.Notes, Warnings: r.Warnings,
	}
	for _, m := range r.Microcode {
		j.Microcode = append(j.Microcode, microcodeJSON{m.Path, m.Updates})
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
	all := imagesJSON{Images: []imageJSON{}, Notes: o.notes, Warnings: o.warnings}
	for _, r := range reports {
		all.Images = append(all.Images, jsonReport(r))
	}
	if trimmed != nil {
		all.Warnings = append(all.Warnings, trimmed.Error())
	}
	return all
}

// A secretsJSON is what nodisk build --secret-only --json prints, by the names of imageJSON.
type secretsJSON struct {
	Secrets    []string `json:"secrets"`
	SecretFile string   `json:"secretFile"`
	Warnings   []string `json:"warnings,omitempty"`
}

// A profilesJSON is what nodisk build --list-profiles --json prints.
type profilesJSON struct {
	Kernel   string        `json:"kernel,omitempty"` // empty: none is known
	Profiles []profileJSON `json:"profiles"`
}

type profileJSON struct {
	Name    string   `json:"name"`
	Doc     string   `json:"doc"`
	Modules int      `json:"modules,omitempty"` // with dependencies, as Bytes
	Bytes   int64    `json:"bytes,omitempty"`
	Missing []string `json:"missing,omitempty"` // what it needs, and the kernel does not have
	Absent  []string `json:"absent,omitempty"`  // what it goes without
}

// writeJSON prints a value for other programs.
func writeJSON(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", escape.JSON(text))
	return err
}

// A planJSON is what nodisk plan --json prints.
type planJSON struct {
	Boots    bool         `json:"boots"`
	Verdict  string       `json:"verdict"`
	About    []string     `json:"about,omitempty"`
	Plan     string       `json:"plan,omitempty"`
	Network  []string     `json:"network,omitempty"` // commands of ip(8)
	Devices  []deviceJSON `json:"devices,omitempty"`
	Phases   []phaseJSON  `json:"phases,omitempty"`
	Faults   []string     `json:"faults,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Notes    []string     `json:"notes,omitempty"`
}

type deviceJSON struct {
	Device  string `json:"device"`
	Drivers string `json:"drivers"`
}

type phaseJSON struct {
	Phase   string       `json:"phase"`
	Modules []loadedJSON `json:"modules"`
}

type loadedJSON struct {
	Name string `json:"name"`
	For  string `json:"for,omitempty"`
}

func jsonPlan(r preflight.Report, strict bool) planJSON {
	j := planJSON{
		Boots: r.Boots() &&
			(!strict || r.Doubts == nil),
		Verdict:  r.Verdict(strict),
		About:    r.About,
		Plan:     r.Plan,
		Network:  r.Network,
		Faults:   r.Faults,
		Warnings: r.Doubts,
		Notes:    r.Notes,
	}
	for _, d := range r.Devices {
		j.Devices = append(j.Devices, deviceJSON{d.Device, d.Drivers})
	}
	for _, p := range r.Phases {
		phase := phaseJSON{Phase: p.Name, Modules: []loadedJSON{}}
		for _, m := range p.Modules {
			phase.Modules = append(phase.Modules, loadedJSON{m.Name, m.For})
		}
		j.Phases = append(j.Phases, phase)
	}
	return j
}
