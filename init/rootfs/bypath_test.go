package rootfs

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A link that cannot be read may hold a password: it is in no text.
func TestPathLinkSecret(t *testing.T) {
	r, _ := ParseRoot(cmdline.Parse("root=/dev/disk/by-path/ip-u:SECRET@10.0.0.1:860-iscsi-foo-lun-5"))
	if text := r.String(); strings.Contains(text, "SECRET") {
		t.Errorf("root %s", text)
	}
}
