package link

import (
	"encoding/hex"
	"strings"
)

// parseGID reads gids/0 of a port in sysfs, fe80:0000:0000:0000:0002:c903:0000:1039
// (_show_port_gid of drivers/infiniband/core/sysfs.c), empty if it is none.
func parseGID(s string) HardwareAddr {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	return HardwareAddr(b)
}
