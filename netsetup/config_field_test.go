package netsetup

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A field that was left out moves the others to the left.
func TestParseShifted(t *testing.T) {
	for line, want := range map[string]string{
		"ip=10.0.0.5::10.0.0.1:24:eth0:none":           `device "none" is a method: a field is missing before it; write ip=10.0.0.5::10.0.0.1:24::eth0:none `,
		"ip=10.0.0.5::10.0.0.1:24:bond0:off":           `; write ip=10.0.0.5::10.0.0.1:24::bond0:off `,
		"ip=10.0.0.5::10.0.0.1:24:node7:none":          `; write ip=10.0.0.5::10.0.0.1:24:node7::none `,
		"ip=10.0.0.5::10.0.0.1:24::none":               `; write ip=10.0.0.5::10.0.0.1:24:::none `,
		"ip=10.0.0.5::10.0.0.1:24:eth0:none:8.8.8.8":   `; write ip=10.0.0.5::10.0.0.1:24::eth0:none:8.8.8.8 `,
		"ip=10.0.0.5::10.0.0.1:24:none":                `host name "none" is a method: a field is missing before it; write ip=10.0.0.5::10.0.0.1:24:::none `,
		"ip=10.0.0.5::10.0.0.1:24:static":              `host name "static" is a method`,
		"ip=[2001:db8::5]::[2001:db8::1]:64:eth0:none": `; write ip=[2001:db8::5]::[2001:db8::1]:64::eth0:none `,
		"ip=:::::dhcp":                           `device "dhcp" is a method: a field is missing before it; write ip=::::::dhcp `,
		"ip=::::eth0:dhcp,dhcp6":                 `device "dhcp,dhcp6" is a method: a field is missing before it; write ip=:::::eth0:dhcp,dhcp6 `,
		"ip=::::node7:all:dhcp":                  `device "all" is a method; leave it empty: ip=::::node7::dhcp`,
		"ip=10.0.0.5::10.0.0.1:24:off:eth0:none": `host name "off" is a method; leave it empty: ip=10.0.0.5::10.0.0.1:24::eth0:none`,
		"ip=::::any":                             `host name "any" is a method: a field is missing before it; write ip=::::::any `,
	} {
		_, err := ParseConfig(cmdline.Parse(line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: says it more than once: %v", line, err)
		}
	}
	for _, line := range []string{
		"ip=10.0.0.5::10.0.0.1:24:any.example.org:eth0:none", "ip=10.0.0.5::10.0.0.1:24:anyhost:on0:none", "ip=10.0.0.5::10.0.0.1:24:node7:eth0", "ip=10.0.0.5::10.0.0.1:24:::",
	} {
		if _, err := ParseConfig(cmdline.Parse(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
