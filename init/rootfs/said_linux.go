package rootfs

import "github.com/nodisk/nodisk/internal/kmsg"

// openLog opens the kernel's log after its last message: it is how a bare EINVAL of mount(2) gets a reason.
// Where that is not permitted the log stays empty.
func openLog() kmsg.Log {
	log, _ := kmsg.Open("/dev/kmsg") // the mount's own error says enough
	return log
}
