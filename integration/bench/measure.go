package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
)

// A result is what is known of a scenario. The keys are for those who compare
// results of different days.
type result struct {
	InitramfsSeconds float64   `json:"initramfs_seconds"` // median, guest time
	ImageBytes       int64     `json:"image_bytes"`
	InitBytes        int64     `json:"init_bytes"`   // /init's share of the image, compressed
	MemoryBytes      int64     `json:"memory_bytes"` // highest of the runs
	BuildSeconds     float64   `json:"build_seconds"`
	Runs             []float64 `json:"runs"` // guest time of each

	// Of the floor in the same image, booted in turn with it: see floorSource.
	FloorSeconds float64   `json:"floor_seconds,omitempty"` // median, guest time
	FloorRatio   float64   `json:"floor_ratio,omitempty"`   // nodisk's median by the floor's
	FloorRuns    []float64 `json:"floor_runs,omitempty"`
}

type bench struct {
	nodisk    string
	kernelDir string
	stall     string
	runs      int
	dir       string
	lab       *lab.Lab
}

// measure boots the scenarios of a group in turn, so that what else the host
// does falls on all of them.
func (b *bench) measure(ctx context.Context, group []scenario) ([]result, error) {
	results := make([]result, len(group))
	specs := make([]lab.BootSpec, len(group))
	floors := make([]lab.BootSpec, len(group))
	runs := b.runs
	for i, s := range group {
		image, r, err := b.build(ctx, s)
		if err != nil {
			return nil, err
		}
		results[i] = r
		specs[i] = s.spec
		specs[i].Kernel, specs[i].Image, specs[i].Name = filepath.Join(b.kernelDir, "vmlinuz"), image, s.name
		specs[i].Timeout = 5 * time.Minute
		if !s.spec.Icount {
			runs = 2*b.runs + 1 // the clock follows the host
		}
		if s.floor {
			if specs[i].Image, err = b.addFloor(ctx, s, specs[i]); err != nil {
				return nil, err
			}
			floors[i] = specs[i]
			floors[i].Append = strings.TrimSpace(specs[i].Append + " " + floorWord)
		}
	}
	for range runs {
		for i, spec := range specs {
			res, err := b.boot(ctx, spec)
			if err != nil {
				return nil, err
			}
			results[i].Runs = append(results[i].Runs, res.Times.Initramfs().Seconds())
			results[i].MemoryBytes = max(results[i].MemoryBytes, memory(res))
			if !group[i].floor {
				continue
			}
			if res, err = b.boot(ctx, floors[i]); err != nil {
				return nil, err
			}
			results[i].FloorRuns = append(results[i].FloorRuns, res.Times.Initramfs().Seconds())
		}
	}
	for i := range results {
		results[i].summarize()
	}
	return results, nil
}

// boot boots a node, which must reach its root.
func (b *bench) boot(ctx context.Context, spec lab.BootSpec) (lab.BootResult, error) {
	res, err := b.lab.Boot(ctx, spec)
	if err != nil {
		return res, err
	}
	if !res.Reached || res.Times.Initramfs() == 0 {
		return res, fmt.Errorf("%s: %s", strings.TrimSpace(spec.Name+" "+spec.Append),
			orElse(res.Why, "the kernel's time stamps are not on the console"))
	}
	return res, nil
}

// summarize takes the medians of the runs, and compares them.
func (r *result) summarize() {
	r.InitramfsSeconds = median(r.Runs)
	if r.FloorRuns != nil {
		r.FloorSeconds = median(r.FloorRuns)
		r.FloorRatio = math.Round(r.InitramfsSeconds/r.FloorSeconds*1000) / 1000
	}
}

func median(runs []float64) float64 {
	sorted := slices.Sorted(slices.Values(runs))
	return sorted[len(sorted)/2]
}

// memory is what /init says that it and the unpacked image cost at
// switch_root, else what the root found in use, which is less: the initramfs
// is gone by then.
func memory(res lab.BootResult) int64 {
	if m := regexp.MustCompile(`nodisk: .*\b(\d+) KiB in use at switch_root`).
		FindStringSubmatch(res.Console); m != nil {
		if kib, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			return kib << 10
		}
	}
	return int64(res.Root.UsedKiB) << 10
}

// build makes the scenario's image, twice: the first warms the caches.
func (b *bench) build(ctx context.Context, s scenario, more ...string) (image string, r result, err error) {
	image = filepath.Join(b.dir, s.name)
	args := []string{
		"build", "--kernel", filepath.Join(b.kernelDir, "vmlinuz"), "--modules", b.kernelDir,
		"--profile", s.profiles, "--out", image,
	}
	if s.compress != "" {
		args = append(args, "--compress", s.compress)
	}
	if s.strip {
		args = append(args, "--strip-signatures")
	}
	if s.stall {
		root, err := lab.StallTree(b.kernelDir, b.stall, filepath.Join(b.dir, s.name+"-tree"))
		if err != nil {
			return "", r, err
		}
		args = append(args, "--modules", root, "--module", "stall") // the last --modules counts
	}
	if s.tree {
		add, err := lab.AddFlags(filepath.Join(b.dir, "tree"))
		if err != nil {
			return "", r, err
		}
		args = append(args, add...)
	}
	args = append(args, more...)
	var text []byte
	for range 2 {
		began := time.Now()
		cmd := exec.CommandContext(ctx, b.nodisk, args...)
		cmd.Env = append(os.Environ(), "NODISK_CACHE="+filepath.Join(b.dir, "cache"))
		if text, err = cmd.CombinedOutput(); err != nil {
			return "", r, fmt.Errorf("nodisk %s: %w: %s", strings.Join(args, " "), err, text)
		}
		r.BuildSeconds = time.Since(began).Seconds()
	}
	info, err := os.Stat(image)
	if err != nil {
		return "", r, err
	}
	r.ImageBytes = info.Size()
	r.InitBytes = initBytes(string(text))
	return image, r, nil
}

// initBytes finds /init's compressed size in the summary of nodisk build:
// "/init (2.44 MB in lz4)".
func initBytes(summary string) int64 {
	m := regexp.MustCompile(`/init \(([0-9.]+) MB in `).FindStringSubmatch(summary)
	if m == nil {
		return 0
	}
	mb, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0
	}
	return int64(mb * 1e6)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func header() string {
	return fmt.Sprintf("%-20s %12s %8s %7s %10s %10s %10s %8s  %s\n", "scenario", "initramfs s", "floor s", "ratio",
		"image B", "/init B", "memory B", "build s", "runs")
}

func (r result) row(name string) string {
	floor, ratio := "-", "-"
	if r.FloorRuns != nil {
		floor, ratio = fmt.Sprintf("%.3f", r.FloorSeconds), fmt.Sprintf("%.2fx", r.FloorRatio)
	}
	runs := make([]string, len(r.Runs))
	for i, t := range r.Runs {
		runs[i] = strconv.FormatFloat(t, 'f', 3, 64)
	}
	return fmt.Sprintf("%-20s %12.3f %8s %7s %10d %10d %10d %8.2f  %s\n", name, r.InitramfsSeconds, floor, ratio,
		r.ImageBytes, r.InitBytes, r.MemoryBytes, r.BuildSeconds, strings.Join(runs, " "))
}
