package ko_test

import (
	"bytes"
	"debug/elf"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// bounded fails when a result is out of proportion to its input.
func bounded(t *testing.T, symbols []ko.Symbol, size int) {
	t.Helper()
	total := 0
	for _, s := range symbols {
		total += len(s.Name) + len(s.Namespace)
		if s.Name == "" {
			t.Error("an exported symbol without a name")
		}
	}
	if total > 300*size {
		t.Errorf("%d bytes of names from %d bytes of input", total, size)
	}
}

func FuzzParse(f *testing.F) {
	for _, change := range []func(m *kotest.Module){
		func(*kotest.Module) {},
		func(m *kotest.Module) { m.Bits32, m.BigEndian, m.Both = true, true, true },
		func(m *kotest.Module) { m.Absolute, m.Flags, m.Signed = true, true, true },
		func(m *kotest.Module) {
			m.Machine, m.Extended, m.NoCRCSymbols, m.NoNamespaces = elf.EM_AARCH64, true, true, true
		},
	} {
		m := made()
		change(&m)
		f.Add(m.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plain := ko.Unsigned(data)
		if !bytes.HasPrefix(data, plain) {
			t.Error("Unsigned is not a beginning of the file")
		}
		m, err := ko.Parse(data)
		if err != nil {
			return
		}
		bounded(t, m.Exports, len(data))
		if s := m.Signature; s != nil && s.Fault == "" && s.Bytes+len(plain) != len(data) {
			t.Errorf("a signature of %d bytes and %d bytes without it are not %d", s.Bytes, len(plain), len(data))
		}
		_, _, _ = m.Depends(), m.Release(), m.InTree()
		for _, i := range m.Imports {
			if i.Name == "" || strings.ContainsRune(i.Name, 0) {
				t.Errorf("an import named %q", i.Name)
			}
		}
	})
}

func FuzzParseKernelELF(f *testing.F) {
	for _, k := range []kotest.Kernel{{}, {Absolute: true}, {Bits32: true, BigEndian: true},
		{Flags: true, NoNamespaces: true}} {
		k.Exports = made().Exports
		f.Add(k.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		symbols, err := ko.ParseKernelELF(data)
		if err == nil {
			bounded(t, symbols, len(data))
		}
	})
}

func FuzzParseSymvers(f *testing.F) {
	f.Add("0x89abcdef\tfoo\tvmlinux\tEXPORT_SYMBOL\tNS\n\n0x1\tbar\tdrivers/x\tEXPORT_SYMBOL_GPL\n")
	f.Fuzz(func(t *testing.T, text string) {
		symbols, err := ko.ParseSymvers(strings.NewReader(text))
		if err == nil && len(symbols) > strings.Count(text, "\n")+1 {
			t.Errorf("%d symbols from %d lines", len(symbols), strings.Count(text, "\n")+1)
		}
	})
}
