package boot

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/cmdline"
)

// A warning where the words do not lead to a server of the root, and none where
// somebody is asked who may know.
func TestAstray(t *testing.T) {
	const (
		none   = ""
		six    = "has an address of IPv6, and no ip= is about IPv6: add ip=DEVICE:auto6"
		four   = "has an address of IPv4, and no ip= is about IPv4: add ip=DEVICE:dhcp"
		way    = "nothing leads to the root's server"
		target = " netroot=iscsi:10.1.0.1::::iqn.2026-01.test:a root=LABEL=a"
	)
	for line, want := range map[string]string{
		"root=nfs:10.1.0.1:/srv":                                                       none,
		"ip=dhcp root=nfs:nas.example:/srv":                                            none,
		"ip=dhcp root=nfs:/srv":                                                        none,
		"ip=dhcp root=nfs:[2001:db8::1]:/srv":                                          six,
		"ip=dhcp root=nfs:[fe80::1%eth0]:/srv":                                         none,
		"ip=auto6 root=nfs:10.1.0.1:/srv":                                              four,
		"ip=dhcp6 ip=dhcp root=nfs:[2001:db8::1]:/srv":                                 none,
		"ip=link6 root=nfs:[2001:db8::1]:/srv":                                         way,
		"ip=ibft" + target:                                                             none,
		"ip=rarp" + target:                                                             none,
		"ip=10.0.0.5:::24" + target:                                                    way,
		"ip=10.0.0.5::10.0.0.1:24" + target:                                            none,
		"ip=10.0.0.5:10.1.0.1/32::24::eth0:none" + target:                              none,
		"ip=10.0.0.5:::8" + target:                                                     none,
		"ip=10.0.0.5:::24 rd.route=10.1.0.0/16:10.0.0.1" + target:                      none,
		"ip=10.0.0.5:::24 netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a" + target:       none, // a portal of the same
		"ip=10.0.0.5:::24 netroot=iscsi:10.0.0.1::::iqn.2026-01.test:b" + target:       way,
		"ip=10.0.0.5:::24 root=nfs:127.0.0.1:/srv":                                     none,
		"ip=10.0.0.5:::24 nodisk.chain=/init.vendor root=nfs:10.1.0.1:/srv":            none,
		"ip=[2001:db8::5]:::64::eth0:none root=nfs:[2001:db8::1]:/srv":                 none,
		"ip=[2001:db8::5]:::64::eth0:none root=nfs:[2001:db9::1]:/srv":                 way,
		"ip=10.0.0.5:::24::eth0:none ip=10.1.0.5:::24::eth0:none root=nfs:10.1.0.1:/a": none,
	} {
		p, err := NewPlan(cmdline.Parse(line), nil)
		got := strings.Join(p.Warnings, "; ")
		if err != nil || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}
