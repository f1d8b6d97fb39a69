package abi

import (
	"testing"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// A finding says which other package's module a module of the kernel's own does not go with.
func TestMixes(t *testing.T) {
	core := func(symbols ...ko.Symbol) func(*kotest.Module) {
		return func(m *kotest.Module) { m.Exports = symbols }
	}
	uses := func(name string, imports ...ko.Import) func(*kotest.Module) {
		return func(m *kotest.Module) { m.Depends, m.Imports = name, wants(imports...) }
	}
	const theirs = "updates/dkms/ib_core.ko"
	for name, tt := range map[string]struct {
		modules modules
		want    string
	}{
		"another version": {modules{theirs: core(ko.Symbol{Name: "ib_register", CRC: 8, HasCRC: true}),
			"kernel/ib_qib.ko": uses("ib_core", crc("ib_register", 7))}, theirs},
		"symbol dropped": {modules{theirs: core(), "kernel/ib_qib.ko": uses("ib_core", crc("ib_register", 7))},
			theirs},
		"both the kernel's": {
			modules{"kernel/ib_core.ko": core(ko.Symbol{Name: "ib_register", CRC: 8, HasCRC: true}),
				"kernel/ib_qib.ko": uses("ib_core", crc("ib_register", 7))}, "",
		},
		"both theirs":  {modules{theirs: core(), "updates/dkms/ib_qib.ko": uses("ib_core", crc("ib_register", 7))}, ""},
		"the kernel's": {modules{theirs: core(), "kernel/ib_qib.ko": uses("", crc("kobject_add", 7))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var files []File
			for path, change := range tt.modules {
				files = append(files, module(t, path, change))
			}
			r := Check(testKernel(), files, Config{Symbols: true})
			if len(r.Findings) != 1 || r.Findings[0].Module != "ib_qib" || r.Findings[0].Mixes != tt.want {
				t.Errorf("findings %+v, want one about ib_qib that mixes with %q", r.Findings, tt.want)
			}
		})
	}
}
