package ko_test

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/testenv"
)

// moduleFiles are all module files of a distribution's kernel.
func moduleFiles(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("NODISK_KERNEL_DIR")
	if root == "" {
		root = filepath.Join("..", "..", ".cache", "kernel")
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(root, "lib", "modules"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || files == nil {
		testenv.Missing(t, "a kernel's modules in "+root+"/lib/modules (NODISK_KERNEL_DIR)")
	}
	return files
}

// made has something of all that a module may have.
func made() kotest.Module {
	return kotest.Module{
		Name: "foo_bar", Vermagic: "6.1.0-56-amd64 SMP preempt mod_unload modversions ", Depends: "a,b-c",
		Info: []ko.Field{{Key: "alias", Value: "pci:v*"}, {Key: "firmware", Value: "x/y=z.bin"}, {Key: "alias",
			Value: "fs-foo"}},
		Exports: []ko.Symbol{
			{Name: "foo_one", CRC: 0x89abcdef, HasCRC: true},
			{Name: "foo_two", CRC: 2, HasCRC: true, GPL: true, Namespace: "FOO"},
			{Name: "foo_three", CRC: 3, HasCRC: true},
		},
		Imports: []ko.Import{
			{Name: "kmalloc", CRC: 0xfedcba98, HasCRC: true},
			{Name: "perhaps", Weak: true},
			{Name: strings.Repeat("long_", 30), CRC: 5, HasCRC: true},
			{Name: "module_layout", CRC: 6, HasCRC: true},
		},
		Pad: 100,
	}
}

func TestParse(t *testing.T) {
	bytesOf := func(change func(m *kotest.Module)) kotest.Module {
		m := made()
		change(&m)
		return m
	}
	for name, tt := range map[string]struct {
		made     kotest.Module
		arch     string
		versions ko.VersionForm
	}{
		"amd64": {bytesOf(func(m *kotest.Module) { m.Both = true }), "amd64",
			ko.BasicVersions | ko.ExtendedVersions},
		"arm64": {bytesOf(func(m *kotest.Module) { m.Machine, m.Extended = elf.EM_AARCH64, true }), "arm64",
			ko.ExtendedVersions},
		"arm": {bytesOf(func(m *kotest.Module) {
			m.Machine, m.Bits32, m.Extended, m.InPlace = elf.EM_ARM, true, true, true
		}), "arm", ko.ExtendedVersions},
		"s390x": {bytesOf(func(m *kotest.Module) { m.Machine, m.BigEndian, m.Both = elf.EM_S390, true, true }),
			"s390x", ko.BasicVersions | ko.ExtendedVersions},
		"mips": {bytesOf(func(m *kotest.Module) {
			m.Machine, m.BigEndian, m.Bits32, m.Both = elf.EM_MIPS, true, true, true
		}), "mips", ko.BasicVersions | ko.ExtendedVersions},
		"pointers": {bytesOf(func(m *kotest.Module) { m.Absolute, m.Both = true, true }), "amd64",
			ko.BasicVersions | ko.ExtendedVersions},
		"CRCs by place": {bytesOf(func(m *kotest.Module) { m.NoCRCSymbols, m.Both = true, true }), "amd64",
			ko.BasicVersions | ko.ExtendedVersions},
		"flags": {bytesOf(func(m *kotest.Module) { m.Flags, m.Both = true, true }), "amd64",
			ko.BasicVersions | ko.ExtendedVersions},
		"signed": {bytesOf(func(m *kotest.Module) { m.Signed, m.Both = true, true }), "amd64",
			ko.BasicVersions | ko.ExtendedVersions},
	} {
		t.Run(name, func(t *testing.T) {
			data := tt.made.Bytes()
			m, err := ko.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			want := made()
			if m.Name != want.Name || m.Arch != tt.arch || m.Versions != tt.versions || m.Vermagic() != want.Vermagic ||
				m.Release() != "6.1.0-56-amd64" || !m.InTree() {
				t.Errorf("got %s %s %v %q %q %v", m.Name, m.Arch, m.Versions, m.Vermagic(), m.Release(), m.InTree())
			}
			byName := func(a, b ko.Symbol) int { return cmp.Compare(a.Name, b.Name) }
			slices.SortFunc(m.Exports, byName)
			slices.SortFunc(want.Exports, byName)
			for what, diff := range map[string]string{
				"exports": gocmp.Diff(want.Exports, m.Exports), "imports": gocmp.Diff(want.Imports, m.Imports),
				"aliases":  gocmp.Diff([]string{"pci:v*", "fs-foo"}, m.Aliases()),
				"firmware": gocmp.Diff([]string{"x/y=z.bin"}, m.Firmware()),
				"depends":  gocmp.Diff([]string{"a", "b_c"}, m.Depends()),
			} {
				if diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			plain := tt.made
			plain.Signed = false
			if !bytes.Equal(ko.Unsigned(data), plain.Bytes()) {
				t.Error("Unsigned is not the file before it was signed")
			}
			if (m.Signature != nil) != tt.made.Signed {
				t.Errorf("signature %+v", m.Signature)
			}
		})
	}
}

// An import that the basic form has no room for has no CRC there.
func TestParseBasicVersions(t *testing.T) {
	m, err := ko.Parse(made().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := made().Imports
	want[2].CRC, want[2].HasCRC = 0, false
	if diff := gocmp.Diff(want, m.Imports); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseWithoutNamespaces(t *testing.T) {
	x := made()
	x.NoNamespaces, x.OutOfTree = true, true
	m, err := ko.Parse(x.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Exports) != 3 || m.Exports[2].Name != "foo_two" || m.Exports[2].Namespace != "" || m.InTree() {
		t.Errorf("got %+v, in tree %v", m.Exports, m.InTree())
	}
}

func TestSignature(t *testing.T) {
	x := made()
	x.Signed, x.Signer = true, "Some key"
	data := x.Bytes()
	m, err := ko.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	want := &ko.Signature{Signer: "Some key", KeyID: "66:F5:4E:15", HashAlgo: "sha256",
		Bytes: len(data) - len(ko.Unsigned(data))}
	if diff := gocmp.Diff(want, m.Signature); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := slices.Clone(data)
	long[len(long)-32] = 0x7f // the highest byte of sig_len
	if m, err := ko.Parse(long); err != nil || !strings.Contains(m.Signature.Fault, "does not fit") {
		t.Errorf("a signature longer than the file: %v, %v", m, err)
	}
	if !bytes.Equal(ko.Unsigned(long), long) {
		t.Error("Unsigned cut a file whose trailer is wrong")
	}
	old := slices.Clone(data)
	old[len(old)-38] = 1 // id_type X509
	if m, err := ko.Parse(old); err != nil || !strings.Contains(m.Signature.Fault, "PKCS#7") {
		t.Errorf("a signature of another kind: %v, %v", m, err)
	}
}

func TestParseErrors(t *testing.T) {
	good := made().Bytes()
	change := func(at int, b byte) []byte {
		data := slices.Clone(good)
		data[at] = b
		return data
	}
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":       {nil, "no ELF file"},
		"text":        {[]byte("#!/bin/sh and more than twenty bytes"), "no ELF file"},
		"class":       {change(4, 3), "ELF class 3"},
		"order":       {change(5, 0), "byte order 0"},
		"program":     {change(16, 2), "relocatable"},
		"cut":         {good[:len(good)-70], "cut off"},
		"header only": {good[:40], "cut off"},
		"no module":   {bytes.ReplaceAll(good, []byte(".modinfo"), []byte(".nothing")), ".modinfo"},
	} {
		if _, err := ko.Parse(tt.data); err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.HasPrefix(err.Error(), "read kernel module: ") {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

// Names that all headers share are not copied for each of them.
func TestParseMemory(t *testing.T) {
	const sections, names = 4000, 256 << 10
	var file bytes.Buffer
	put := func(record any) {
		if err := binary.Write(&file, binary.LittleEndian, record); err != nil {
			t.Fatal(err)
		}
	}
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)},
		Type:  uint16(elf.ET_REL), Shoff: 64 + names, Shentsize: 64, Shnum: sections, Shstrndx: 1,
	}
	put(h)
	file.Write(bytes.Repeat([]byte{'a'}, names-1))
	file.WriteByte(0)
	for range sections {
		put(elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: 64, Size: names})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ko.Parse(file.Bytes())
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), ".modinfo") {
		t.Errorf("error %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 4*uint64(file.Len()) {
		t.Errorf("%d bytes are allocated for a file of %d", took, file.Len())
	}
}

func TestParseKernelELF(t *testing.T) {
	exports := made().Exports
	for name, k := range map[string]kotest.Kernel{
		"distances":     {Exports: exports},
		"pointers":      {Exports: exports, Absolute: true},
		"32 bit":        {Exports: exports, Absolute: true, Bits32: true, BigEndian: true, Machine: elf.EM_PPC},
		"flags":         {Exports: exports, Flags: true},
		"no namespaces": {Exports: exports, NoNamespaces: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ko.ParseKernelELF(k.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(exports)
			if k.NoNamespaces {
				want[1].Namespace = ""
			}
			byName := func(a, b ko.Symbol) int { return cmp.Compare(a.Name, b.Name) }
			slices.SortFunc(want, byName)
			slices.SortFunc(got, byName)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := ko.ParseKernelELF(made().Bytes()); err == nil {
		t.Error("a module is taken for a kernel")
	}
}

func TestParseSymvers(t *testing.T) {
	got, err := ko.ParseSymvers(strings.NewReader("0x89abcdef\tfoo\tvmlinux\tEXPORT_SYMBOL\t\n" +
		"0x00000000\tbar\tdrivers/x/y\tEXPORT_SYMBOL_GPL\tNS\n0x1\told\tvmlinux\tEXPORT_SYMBOL\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []ko.Symbol{
		{Name: "foo", CRC: 0x89abcdef, HasCRC: true, From: "vmlinux"},
		{Name: "bar", GPL: true, Namespace: "NS", From: "drivers/x/y"},
		{Name: "old", CRC: 1, HasCRC: true, From: "vmlinux"},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"0x1 foo vmlinux EXPORT_SYMBOL", "x\tfoo\tvmlinux\tEXPORT_SYMBOL"} {
		if _, err := ko.ParseSymvers(strings.NewReader("0x1\ta\tvmlinux\tEXPORT_SYMBOL\n" + text)); err == nil ||
			!strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// Every exported symbol of a distribution's modules is what its Module.symvers
// says: name, CRC, licence, namespace.
func TestParseAsSymvers(t *testing.T) {
	files := moduleFiles(t)
	found, _ := filepath.Glob(filepath.Join("..", "..", ".cache", "headers", "usr", "src", "*", "Module.symvers"))
	if len(found) == 0 {
		testenv.Missing(t, "Module.symvers of the kernel's headers in .cache/headers")
	}
	text, err := os.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close() //nolint:errcheck // it was only read
	symvers, err := ko.ParseSymvers(text)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]ko.Symbol)
	for _, s := range symvers {
		if s.From != "vmlinux" {
			s.From = ""
			want[s.Name] = s
		}
	}
	all := make(map[string]ko.Import)
	exported := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ko.Parse(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, s := range m.Exports {
			exported++
			if s != want[s.Name] {
				t.Errorf("%s (-Module.symvers +Parse):\n%s", file, gocmp.Diff(want[s.Name], s))
			}
		}
		for _, i := range m.Imports {
			all[i.Name] = i
			if !i.HasCRC && !i.Weak {
				t.Errorf("%s: %s has no CRC", file, i.Name)
			}
		}
	}
	if exported != len(want) {
		t.Errorf("%d exports, Module.symvers has %d", exported, len(want))
	}
	for _, s := range symvers {
		if i, ok := all[s.Name]; ok && i.HasCRC && i.CRC != s.CRC {
			t.Errorf("import %s has CRC %#x, Module.symvers %#x", s.Name, i.CRC, s.CRC)
		}
	}
	t.Logf("%d modules, %d exports, %d imported symbols", len(files), exported, len(all))
}

// Records and signature are what modinfo prints.
func TestParseAsModinfo(t *testing.T) {
	tool, err := exec.LookPath("modinfo")
	if err != nil {
		if tool = "/sbin/modinfo"; exec.CommandContext(t.Context(), tool, "-V").Run() != nil {
			testenv.Missing(t, "modinfo (package kmod)")
		}
	}
	for i, file := range moduleFiles(t) {
		if i%150 != 0 {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ko.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, f := range m.Info {
			fmt.Fprintf(&got, "%s=%s\x00", f.Key, f.Value)
		}
		if s := m.Signature; s != nil {
			fmt.Fprintf(&got, "sig_id=PKCS#7\x00signer=%s\x00sig_key=%s\x00sig_hashalgo=%s\x00",
				s.Signer, s.KeyID, s.HashAlgo)
		}
		out, err := exec.CommandContext(t.Context(), tool, "-0", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for record := range strings.SplitSeq(string(out), "\x00") {
			key, _, _ := strings.Cut(record, "=")
			if !strings.HasPrefix(key, "filename:") && key != "signature" && key != "" && !strings.HasPrefix(key,
				"\n") {
				want.WriteString(record + "\x00")
			}
		}
		parameters := func(text string) string { // modinfo joins parm and parmtype
			return strings.Join(slices.DeleteFunc(strings.Split(text, "\x00"),
				func(r string) bool { return strings.HasPrefix(r, "parm") }), "\n")
		}
		if diff := gocmp.Diff(parameters(want.String()), parameters(got.String())); diff != "" {
			t.Errorf("%s (-modinfo +Parse):\n%s", file, diff)
		}
	}
}

// Lines may be longer than 64 KiB, but not any length.
func TestParseSymversLongLine(t *testing.T) {
	long := "0x00000001\t" + strings.Repeat("x", 1<<17) + "\tvmlinux\tEXPORT_SYMBOL\t\n"
	if list, err := ko.ParseSymvers(strings.NewReader(long)); err != nil || len(list) != 1 {
		t.Errorf("%d symbols, %v", len(list), err)
	}
	_, err := ko.ParseSymvers(strings.NewReader(long + strings.Repeat("x", 1<<20)))
	if err == nil || !strings.Contains(err.Error(), "line 2 is longer than 1024 KiB") {
		t.Errorf("error %v", err)
	}
}
