package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// buildScenario is the name of the comparison with other makers of images.
const buildScenario = "build"

// A buildResult is how long one tool takes for an image that boots a node from
// iSCSI: the same modules, lz4, DHCP and initiator inside.
type buildResult struct {
	Seconds     float64   `json:"build_seconds"` // median
	ColdSeconds float64   `json:"build_cold_seconds,omitempty"`
	ImageBytes  int64     `json:"image_bytes"`
	Runs        []float64 `json:"runs"`
	What        string    `json:"what"`
}

// A maker is a tool that makes an image.
type maker struct {
	name string
	what string // what goes in, of what is installed
	args []string
	env  []string
}

// compareBuilds runs the makers in turn, so that what else the host does falls on
// all of them. It needs root: others take modules and configuration from places that
// are covered in the bench's mount namespace.
func (b *bench) compareBuilds(ctx context.Context, say func(string)) (map[string]buildResult, error) {
	say(fmt.Sprintf("\n%-24s %8s %8s %10s  %s\n", "build", "s", "cold s", "image B", "runs"))
	makers, err := b.makers(ctx)
	if err != nil {
		return nil, err
	}
	results := make(map[string]buildResult)
	for round := range b.runs + 1 { // the first warms the caches
		for _, m := range makers {
			took, size, err := b.make(ctx, m)
			if err != nil {
				return nil, err
			}
			if round == 0 {
				continue
			}
			r := results[m.name]
			r.Runs, r.ImageBytes, r.What = append(r.Runs, took), size, m.what
			results[m.name] = r
		}
	}
	for _, m := range makers {
		r := results[m.name]
		sorted := slices.Sorted(slices.Values(r.Runs))
		r.Seconds = sorted[len(sorted)/2]
		if dropCaches() == nil {
			if r.ColdSeconds, _, err = b.make(ctx, m); err != nil {
				return nil, err
			}
		}
		results[m.name] = r
		say(r.row(m))
	}
	say(ratios(makers, results))
	return results, nil
}

func (r buildResult) row(m maker) string {
	runs := make([]string, len(r.Runs))
	for i, t := range r.Runs {
		runs[i] = fmt.Sprintf("%.2f", t)
	}
	cold := "-"
	if r.ColdSeconds > 0 {
		cold = fmt.Sprintf("%.2f", r.ColdSeconds)
	}
	return fmt.Sprintf("%-24s %8.2f %8s %10d  %s (%s)\n", m.name, r.Seconds, cold, r.ImageBytes,
		strings.Join(runs, " "), r.What)
}

// ratios compares the others with nodisk, with its cache and without.
func ratios(makers []maker, results map[string]buildResult) string {
	var out strings.Builder
	for _, m := range makers[2:] {
		fmt.Fprintf(&out, "%s takes %.0f times as long as nodisk, %.0f times as long as nodisk's first build\n", m.name,
			results[m.name].Seconds/results["build-nodisk"].Seconds,
			results[m.name].Seconds/results["build-nodisk-first"].Seconds)
	}
	return out.String()
}

// make runs a maker once.
func (b *bench) make(ctx context.Context, m maker) (seconds float64, size int64, err error) {
	out := filepath.Join(b.dir, m.name)
	args := slices.Clone(m.args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{out}", out)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), m.env...)
	began := time.Now()
	if text, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, text)
	}
	seconds = time.Since(began).Seconds()
	info, err := os.Stat(out)
	if err != nil {
		return 0, 0, err
	}
	return seconds, info.Size(), nil
}

// makers prepares the tools: nodisk twice, then those that are installed.
func (b *bench) makers(ctx context.Context) ([]maker, error) {
	kernel := filepath.Join(b.kernelDir, "vmlinuz")
	nodisk := []string{b.nodisk, "build", "--kernel", kernel, "--modules", b.kernelDir, "--profile", "virt,iscsi,ext4",
		"--out", "{out}"}
	cache := "NODISK_CACHE=" + filepath.Join(b.dir, "cache")
	makers := []maker{
		{"build-nodisk", "with its cache", nodisk, []string{cache}},
		{"build-nodisk-first", "--no-cache", append(slices.Clone(nodisk), "--no-cache"), nil},
	}
	if _, _, err := b.make(ctx, makers[0]); err != nil {
		return nil, err
	}
	modules, err := b.modulesOf(ctx, filepath.Join(b.dir, makers[0].name))
	if err != nil {
		return nil, err
	}
	release, err := b.coverModules()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(b.dir, "initramfs-tools")
	if err := initramfsConf(conf, modules); err != nil {
		return nil, err
	}
	ours := "bare: open-iscsi is not installed"
	if exists("/usr/share/initramfs-tools/hooks/iscsi") {
		ours = "with open-iscsi"
	}
	theirs, with := dracutModules()
	others := []maker{
		{"build-mkinitramfs", ours, []string{"mkinitramfs", "-d", conf, "-o", "{out}", release}, nil},
		{"build-dracut", with, []string{
			"dracut", "--force", "--quiet", "--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode", "--lz4",
			"--kver", release, "--modules", theirs, "--drivers", strings.Join(modules, " "), "{out}",
		}, nil},
	}
	for _, m := range others {
		if _, err := exec.LookPath(m.args[0]); err != nil {
			return nil, fmt.Errorf("%w: install what scripts/packages.list names", err)
		}
		makers = append(makers, m)
	}
	return makers, nil
}

// modulesOf are the names of the modules in nodisk's image: the others take the same.
func (b *bench) modulesOf(ctx context.Context, image string) ([]string, error) {
	text, err := exec.CommandContext(ctx, b.nodisk, "inspect", image).Output()
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", image, err)
	}
	var names []string
	for word := range strings.FieldsSeq(string(text)) {
		if name, ok := strings.CutSuffix(path.Base(word), ".ko"); ok && strings.HasPrefix(word, "/lib/modules/") {
			names = append(names, name)
		}
	}
	return names, nil
}

// dracutModules are those for DHCP and iSCSI that are installed.
func dracutModules() (modules, what string) {
	list := []string{"base", "kernel-modules", "udev-rules", "rootfs-block", "fs-lib"}
	what = "bare: dracut-network or open-iscsi is not installed"
	if exists("/usr/lib/dracut/modules.d/35network-legacy") {
		list = append(list, "network", "network-legacy")
		what = "with network-legacy, without open-iscsi"
		if _, err := exec.LookPath("iscsistart"); err == nil {
			list = append(list, "iscsi")
			what = "with network-legacy and iscsi"
		}
	}
	return strings.Join(list, " "), what
}

// coverModules puts the kernel's modules and configuration where the others look for them,
// in this mount namespace alone, and returns the release.
func (b *bench) coverModules() (string, error) {
	entries, err := os.ReadDir(filepath.Join(b.kernelDir, "lib", "modules"))
	if err != nil || len(entries) != 1 {
		return "", fmt.Errorf("find the kernel's modules in %s: %d trees, %w", b.kernelDir, len(entries), err)
	}
	release := entries[0].Name()
	if err := os.MkdirAll("/lib/modules", 0o755); err != nil {
		return "", fmt.Errorf("make a place for modules: %w; as root it works", err)
	}
	err = errors.Join(
		syscall.Mount(filepath.Join(b.kernelDir, "lib", "modules"), "/lib/modules", "", syscall.MS_BIND, ""),
		syscall.Mount("tmpfs", "/boot", "tmpfs", 0, ""))
	if err != nil {
		return "", fmt.Errorf("cover /lib/modules and /boot: %w", err)
	}
	config, err := os.ReadFile(filepath.Join(b.kernelDir, "config"))
	if err != nil {
		return "", err
	}
	return release, os.WriteFile("/boot/config-"+release, config, 0o644) //nolint:gosec // no secret
}

// initramfsConf writes a configuration of initramfs-tools with a list of modules.
func initramfsConf(dir string, modules []string) error {
	for _, below := range []string{"conf.d", "hooks", "scripts"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o755); err != nil {
			return err
		}
	}
	conf := "MODULES=list\nBUSYBOX=auto\nKEYMAP=n\nCOMPRESS=lz4\nDEVICE=\nNFSROOT=auto\nRUNSIZE=10%\nBOOT=local\n"
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "initramfs.conf"), []byte(conf), 0o600),
		os.WriteFile(filepath.Join(dir, "modules"), []byte(strings.Join(modules, "\n")+"\n"), 0o600))
}

// dropCaches has the kernel forget files, so that they are read from the disk.
func dropCaches() error {
	syscall.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

func exists(at string) bool {
	_, err := os.Stat(at)
	return err == nil
}
