// Command bench measures boots: how long the initramfs takes, how big the
// image is, how much memory it costs, how long it takes to make.
//
//	go run ./integration/bench -nodisk bin/nodisk -kernel .cache/kernel
//
// Guest time is deterministic (QEMU's icount, one CPU: an instruction is a
// nanosecond), so that two images can be compared on a busy machine. It runs
// from the kernel's line "Run /init as init process" to the first line of the
// root's /sbin/init, both stamped by the kernel. What it prints as a table it
// writes as JSON too, one object per scenario.
//
// Beside some scenarios the floor boots, a C program in the same image (see floor/floor.c) that
// loads the same modules in the same order, gets a lease, mounts the same root and never waits
// for what it does not need. The table shows its time and nodisk's by its, in JSON floor_seconds
// and floor_ratio. gcc compiles it. On a busy machine the servers answer later, which guest time
// contains: the ratio is for a quiet one.
//
// The scenario "build" (-only build) is another: how long nodisk, mkinitramfs and
// dracut take to make an image for the same node, side by side. "cold" is with nothing of
// the disk in memory, "first" without nodisk's cache of compressed modules.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/nodisk/nodisk/integration/lab"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if outside, ok := errors.AsType[*lab.Outside](err); ok {
			os.Exit(outside.Status) //nolint:forbidigo // it has run in namespaces
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // the one place where the command ends
	}
}

func run(args []string, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var (
		b    bench
		only string
		file string
		log  bool
	)
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&b.nodisk, "nodisk", "bin/nodisk", "the command under test")
	flags.StringVar(&b.kernelDir, "kernel", ".cache/kernel", "directory with vmlinuz and lib/modules/RELEASE")
	flags.StringVar(&b.stall, "stall", ".cache/stall/stall.ko", "the driver that takes its time, see integration/stall")
	flags.StringVar(&file, "out", "bench.json", "where to write the results")
	flags.StringVar(&only, "only", "", "one scenario, or a group such as slow or slow-2cpu, instead of all")
	flags.IntVar(&b.runs, "runs", 3, "boots per scenario; the median counts")
	flags.BoolVar(&log, "v", false, "tell what the lab does")
	if err := flags.Parse(args); err != nil {
		return err
	}
	list := scenarios()
	builds := only == "" || only == buildScenario
	if only == buildScenario {
		list = nil
	} else if only != "" {
		if list, err = pick(list, only); err != nil {
			return err
		}
	}
	for _, s := range list {
		if err := errors.Join(lab.Missing(s.spec)...); err != nil {
			return err
		}
	}
	if err := lab.Enter(ctx); err != nil {
		return err
	}
	conf := lab.Config{Accel: "tcg"}
	if log {
		conf.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if list != nil {
		if b.lab, err = lab.New(ctx, conf); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.lab.Close()) }()
	}
	if b.dir, err = os.MkdirTemp("", "nodisk-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.kernelDir, err = filepath.Abs(b.kernelDir); err != nil {
		return err
	}

	results := map[string]any{}
	if list != nil {
		_, _ = io.WriteString(out, header())
	}
	for _, group := range groups(list) {
		rs, err := b.measure(ctx, group)
		if err != nil {
			return fmt.Errorf("measure %s: %w", group[0].name, err)
		}
		for i, r := range rs {
			results[group[i].name] = r
			_, _ = io.WriteString(out, r.row(group[i].name))
		}
	}
	if builds {
		rs, err := b.compareBuilds(ctx, func(line string) { _, _ = io.WriteString(out, line) })
		if err != nil {
			return fmt.Errorf("compare builds: %w", err)
		}
		for name, r := range rs {
			results[name] = r
		}
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
