package boot

import (
	"log/slog"

	"github.com/nodisk/nodisk/init/linux"
)

// tellOldKernel warns of a kernel that nodisk is not for. The boot goes on: what it
// needs may be there all the same, and else the warning is above the error.
func tellOldKernel(log *slog.Logger) {
	release, err := kernelRelease()
	if err != nil {
		return // whoever needs the release says so
	}
	if err := linux.TooOld(release); err != nil {
		log.Warn(err.Error() + "; trying with this one")
	}
}
