package abi

import (
	"fmt"
	"io"
	"strings"

	"github.com/nodisk/nodisk/internal/linescan"
)

// A Kconfig is a kernel's configuration: "CONFIG_MODVERSIONS" to "y". What is
// not set is not in it.
type Kconfig map[string]string

// ParseKconfig reads the text of a .config.
func ParseKconfig(r io.Reader) (Kconfig, error) {
	c := make(Kconfig)
	text := linescan.New(r, linescan.Longest)
	for text.Scan() {
		line := strings.TrimSpace(text.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(key, "CONFIG_") {
			return nil, fmt.Errorf("read kernel configuration: line %d is not CONFIG_NAME=VALUE", text.Number())
		}
		c[key] = strings.Trim(value, `"`)
	}
	if err := text.Err(); err != nil {
		return nil, fmt.Errorf("read kernel configuration: %w", err)
	}
	return c, nil
}

// on reports whether an option is y. It is off when it is not set, and when
// nothing is known.
func (c Kconfig) on(option string) bool { return c["CONFIG_"+option] == "y" }
