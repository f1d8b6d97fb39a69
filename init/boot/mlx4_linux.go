package boot

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/kernfile"
)

// sensePorts switches those ports of mlx4 adapters that are to be "auto" to what
// they find at the other end. The module parameter has no number for it, only a file
// in sysfs (set_port_type in drivers/net/ethernet/mellanox/mlx4/main.c), which wants the line's
// end. The driver probes while its module is loaded, so the files are
// there. sys is /sys.
func sensePorts(sys string, ports []plan.PortType) []error {
	var errs []error
	for i, t := range ports {
		if t != plan.PortAuto {
			continue
		}
		// The pattern is good: that is the only error there is.
		files, _ := fs.Glob(kernfile.DirFS(sys), fmt.Sprintf("bus/pci/drivers/mlx4_core/*/mlx4_port%d", i+1))
		for _, file := range files {
			if err := os.WriteFile(sys+"/"+file, []byte("auto\n"), 0); err != nil {
				adapter := strings.Split(file, "/")[4]
				errs = append(
					errs,
					fmt.Errorf(
						"nodisk.mlx4.port_type=auto: port %d of the adapter at %s cannot sense what it is "+
							"connected to: write ib or eth; %w",
						i+1,
						adapter,
						err,
					),
				)
			}
		}
	}
	return errs
}
