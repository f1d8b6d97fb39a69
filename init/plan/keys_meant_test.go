package plan

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A hint is what was meant, or there is none: of a wrong one the second boot fails
// as the first did.
func TestHints(t *testing.T) {
	for word, want := range map[string]string{
		"rd.net.dhcp.vendorclass=a": "rd.net.dhcp.vendor-class", "rd.net.timeout.carier=3": "rd.net.timeout.carrier", "rd.brek": "rd.break",
		"rd.iscsi.ip=10.0.0.1": "rd.iscsi.target.ip", "rd.iscsi.port=3260": "rd.iscsi.target.port", "nodisk.clientid=mac": "nodisk.dhcp.clientid",
		"nodisk.dhcp.client-id=mac": "nodisk.dhcp.clientid", "nodisk.port_type=ib": "nodisk.mlx4.port_type", "rd.overlayfs": "rd.overlay", "nodisk.onfial=halt": "nodisk.onfail",
		"iscsi_initator=a": "iscsi_initiator", "iscsi_ip=10.0.0.1": "iscsi_target_ip", "ISCSI_PORT=3260": "iscsi_target_port", "IP=10.0.0.5": "ip", "bootif=01-aa": "BOOTIF",
		"rd.nolvm": "", "rd.foo": "", "rd.zdev": "", "rd.iscsi.lun=1": "", "nodisk.wait=5": "", "rd.net.mtu=9000": "", "nodisk.boot=a": "", "rd.nm.debug": "",
		"boot_delay=10": "", "iscsi_tcp.debug_iscsi_tcp=1": "", "nodisk.ibmode=datagram": "nodisk.ib.mode",
	} {
		warnings, _ := keyTable(Keys()).judge(cmdline.Parse(word))
		got := strings.Join(warnings, "; ")
		if want == "" && strings.Contains(got, "did you mean") || want != "" && !strings.HasSuffix(got, "did you mean "+want+"?") {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// What /init says is what nodisk plan says: both have it of the plan.
func TestSlipsOnTheNode(t *testing.T) {
	p, err := New(cmdline.Parse("root=LABEL=a bootif=01-52-54-00-12-34-56"), nil)
	if want := "unknown key bootif: did you mean BOOTIF?"; err != nil || strings.Join(p.Warnings, "\n") != want {
		t.Errorf("%q, %v, want %q", p.Warnings, err, want)
	}
}

// A word for udev that nodisk does not understand is told by the plan too.
func TestNamingWarnings(t *testing.T) {
	p, err := New(cmdline.Parse("root=LABEL=a net.naming_scheme=v26o net.ifname_policy=predictable"), nil)
	got := strings.Join(p.Warnings, "\n")
	if err != nil || !strings.Contains(got, "net.naming_scheme=v26o: not a scheme that nodisk knows") || !strings.Contains(got, "net.ifname_policy=predictable: without effect: write some of kernel,") {
		t.Errorf("%s, %v", got, err)
	}
}
