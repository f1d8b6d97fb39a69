package boot

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

func TestUnknown(t *testing.T) {
	got := unknown(cmdline.Parse("quiet console=ttyS0 nodisk.onfial=halt rd.shel rd.shel nodisk.syslog=udp://a rd.iscsi.initator=x nodisk.xyzzy=1 root=x"))
	want := []string{
		"nodisk.onfial: unknown key, did you mean nodisk.onfail?",
		"rd.shel: unknown key, did you mean rd.shell?",
		"nodisk.syslog: not built yet, without effect",
		"rd.iscsi.initator: unknown key, did you mean rd.iscsi.initiator?",
		"nodisk.xyzzy: unknown key",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Who parses a key and who knows of it must agree.
func TestKeysOfNetsetup(t *testing.T) {
	var args cmdline.Args
	for _, k := range netsetup.Keys() {
		args = append(args, cmdline.Arg{Key: k})
	}
	if got := unknown(args); got != nil {
		t.Errorf("warnings about keys that netsetup reads: %q", got)
	}
}
