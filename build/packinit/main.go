// Command packinit compresses /init in place, for make build to embed: see
// [build.PackProgram].
//
//	go run ./build/packinit build/program/embedded/nodisk-init build/program/embedded/nodisk-init-arm64
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nodisk/nodisk/build/program"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "packinit:", err)
		os.Exit(1) //nolint:forbidigo // the one place where the command ends
	}
}

func run(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return errors.New("no file to pack: usage is packinit FILE ...; it is packed in place")
	}
	for _, at := range files {
		binary, err := os.ReadFile(at)
		if err != nil {
			return fmt.Errorf("read /init: %w", err)
		}
		packed, err := program.PackProgram(ctx, binary)
		if err != nil {
			return err
		}
		if err := os.WriteFile(at, packed, 0o644); err != nil { //nolint:gosec // no secret
			return fmt.Errorf("write /init: %w", err)
		}
	}
	return nil
}
