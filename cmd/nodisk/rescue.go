package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/infile"
)

// A rescueFlag is --rescue or --rescue=FILE.
type rescueFlag struct {
	set  bool
	file string
}

// IsBool tells kong that the flag needs no value.
func (*rescueFlag) IsBool() bool { return true }

// Decode takes the value if there is one.
func (f *rescueFlag) Decode(ctx *kong.DecodeContext) error {
	f.set = true
	if token := ctx.Scan.Peek(); token.Type == kong.FlagValueToken {
		ctx.Scan.Pop()
		file, ok := token.Value.(string)
		if !ok || file == "" {
			return errors.New("--rescue= needs a file, or no = at all")
		}
		f.file = file
	}
	return nil
}

// program returns what [build.Spec] takes as Rescue: nil without the flag.
func (f *rescueFlag) program() func(ctx context.Context, arch string) ([]byte, error) {
	switch {
	case !f.set:
		return nil
	case f.file != "":
		return func(ctx context.Context, _ string) ([]byte, error) {
			program, err := infile.ReadFile(ctx, f.file)
			if err != nil {
				return nil, fmt.Errorf("read the rescue shell: %w", err)
			}
			return program, nil
		}
	default:
		return func(ctx context.Context, arch string) ([]byte, error) {
			cache, err := os.UserCacheDir()
			if err != nil { // no home: it is compiled each time
				return program.CompileRescue(ctx, "", arch)
			}
			return program.CompileRescue(ctx, filepath.Join(cache, "nodisk"), arch)
		}
	}
}
