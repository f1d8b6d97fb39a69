package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nodisk/nodisk/integration/lab"
)

// floorSource is the floor: a program that boots the same image without a wait of its
// own, see floor/floor.c.
//
//go:embed floor
var floorSource embed.FS

// floorWord on the kernel command line starts the floor in place of /init.
const floorWord = "rdinit=/floor"

// compileFloor makes the floor's program. gcc is all it needs: no C library is linked.
func (b *bench) compileFloor(ctx context.Context) (program string, err error) {
	program = filepath.Join(b.dir, "floor")
	if exists(program) {
		return program, nil
	}
	source := filepath.Join(b.dir, "floor-source")
	if err := os.CopyFS(source, floorSource); err != nil {
		return "", fmt.Errorf("compile the floor: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(source, "floor", "*.c"))
	if err != nil {
		return "", fmt.Errorf("compile the floor: %w", err)
	}
	args := append([]string{
		"-O2", "-s", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector",
		"-fno-pic", "-no-pie", "-fcf-protection=none", "-Wl,--build-id=none", "-o", program,
	}, files...)
	if text, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the floor: gcc: %w: %s", err, text)
	}
	return program, nil
}

// addFloor makes the scenario's image again, with the floor and its list inside. The list is
// of the modules that /init loads in the image without, which boots once for that.
func (b *bench) addFloor(ctx context.Context, s scenario, spec lab.BootSpec) (image string, err error) {
	program, err := b.compileFloor(ctx)
	if err != nil {
		return "", err
	}
	spec.Append = strings.TrimSpace(spec.Append + " nodisk.log=debug")
	res, err := b.lab.Boot(ctx, spec)
	if err != nil {
		return "", err
	}
	if !res.Reached {
		return "", fmt.Errorf("%s: %s", spec.Name, res.Why)
	}
	contents, err := exec.CommandContext(ctx, b.nodisk, "inspect", spec.Image).Output()
	if err != nil {
		return "", fmt.Errorf("inspect %s: %w", spec.Image, err)
	}
	text, err := floorList(s.spec.Root, res.Console, string(contents))
	if err != nil {
		return "", fmt.Errorf("%s: %w", spec.Name, err)
	}
	list := filepath.Join(b.dir, s.name+".list")
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		return "", err
	}
	s.name += "-floor"
	image, _, err = b.build(ctx, s, "--add", program+":/floor", "--add", list+":/floor.list")
	return image, err
}

// floorList is what the floor reads: the kind of root, then the modules' files in the order
// in which /init loaded them, by its console and by what nodisk inspect prints of the image.
func floorList(root lab.Root, console, contents string) (string, error) {
	files := make(map[string]string)
	for word := range strings.FieldsSeq(contents) {
		if name, ok := strings.CutSuffix(path.Base(word), ".ko"); ok && strings.HasPrefix(word, "/lib/modules/") {
			files[strings.ReplaceAll(name, "-", "_")] = word
		}
	}
	var list strings.Builder
	list.WriteString(root.String() + "\n")
	loads := regexp.MustCompile(`(?m)module loaded module=(\S+)`).FindAllStringSubmatch(console, -1)
	if loads == nil {
		return "", errors.New("the console names no module that was loaded")
	}
	for _, m := range loads {
		file, ok := files[strings.ReplaceAll(m[1], "-", "_")]
		if !ok {
			return "", fmt.Errorf("module %s was loaded and is not in the image", m[1])
		}
		list.WriteString(file + "\n")
	}
	return list.String(), nil
}
