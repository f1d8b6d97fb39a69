package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/integration/tool"
)

// ErrNoDebian is that of [UnpackDebian] where the tree was not made.
var ErrNoDebian = errors.New("no Debian tree: run make debian")

// UnpackDebian unpacks the stock tree of a Debian release ("bookworm", "trixie"),
// which make debian leaves as debian-RELEASE.tar in the directory cache, into the
// directory dir. Owners, modes, devices, hard links and extended attributes are the
// tar's, so only root of the machine can do it.
func UnpackDebian(ctx context.Context, cache, release, dir string) error {
	if !rootOutside() {
		return errors.New("unpack Debian tree: only root can make its devices and owners")
	}
	name := filepath.Join(cache, "debian-"+release+".tar")
	if _, err := os.Stat(name); err != nil {
		return fmt.Errorf("%w: %w", ErrNoDebian, err)
	}
	err := tool.Tar().Run(ctx, "--extract", "--file", name, "--directory", dir, "--numeric-owner", "--same-owner",
		"--preserve-permissions", "--xattrs", "--xattrs-include=*")
	if err != nil {
		return fmt.Errorf("unpack Debian tree: %w", err)
	}
	return nil
}
