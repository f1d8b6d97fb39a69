package abi

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A Kconfig is a kernel's configuration: "CONFIG_MODVERSIONS" to "y". What is
// not set is not in it.
type Kconfig map[string]string

// ParseKconfig reads the text of a .config.
func ParseKconfig(r io.Reader) (Kconfig, error) {
	c := make(Kconfig)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(key, "CONFIG_") {
			return nil, fmt.Errorf("read kernel configuration: line %d is not CONFIG_NAME=VALUE", number)
		}
		c[key] = strings.Trim(value, `"`)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read kernel configuration: %w", err)
	}
	return c, nil
}

// on tells whether an option is y. It is off when it is not set, and when
// nothing is known.
func (c Kconfig) on(option string) bool { return c["CONFIG_"+option] == "y" }
