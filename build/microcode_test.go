package build

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
)

// intelUpdate makes an update by Intel's format: the checksums are right, the code is noise.
func intelUpdate(signature, revision uint32, size int, more ...uint32) []byte {
	le := binary.LittleEndian
	data := make([]byte, intelHeader+size)
	for i, v := range []uint32{1, revision, 0x06012023, signature, 0, 1, 1, uint32(size)} {
		le.PutUint32(data[4*i:], v)
	}
	for i := range size {
		data[intelHeader+i] = byte(i * 7)
	}
	total := len(data)
	if more != nil {
		total += intelExtHeader + len(more)*intelExtEntry
	}
	le.PutUint32(data[32:], uint32(total))
	le.PutUint32(data[16:], -sum32(data))
	if more == nil {
		return data
	}
	table := make([]byte, intelExtHeader+len(more)*intelExtEntry)
	le.PutUint32(table, uint32(len(more)))
	for i, s := range more {
		le.PutUint32(table[intelExtHeader+i*intelExtEntry:], s)
	}
	le.PutUint32(table[4:], -sum32(table))
	return append(data, table...)
}

// amdContainer makes a container by AMD's format, with a patch for each number.
func amdContainer(table map[uint32]uint16, revision uint32, ids ...uint16) []byte {
	le := binary.LittleEndian
	var entries []byte
	for _, signature := range []uint32{0x00800f11, 0x00830f10, 0x00a20f10} {
		if id, ok := table[signature]; ok {
			entry := make([]byte, amdEntry)
			le.PutUint32(entry, signature)
			le.PutUint16(entry[12:], id)
			entries = append(entries, entry...)
		}
	}
	entries = append(entries, make([]byte, amdEntry)...)
	out := le.AppendUint32(nil, amdMagic)
	out = le.AppendUint32(out, amdTypeTable)
	out = le.AppendUint32(out, uint32(len(entries)))
	out = append(out, entries...)
	for _, id := range ids {
		patch := make([]byte, amdPatch+100)
		le.PutUint32(patch[4:], revision)
		le.PutUint16(patch[24:], id)
		out = le.AppendUint32(out, amdTypePatch)
		out = le.AppendUint32(out, uint32(len(patch)))
		out = append(out, patch...)
	}
	return out
}

func names(updates []microcodeUpdate) []string {
	var list []string
	for _, u := range updates {
		list = append(list, u.String())
	}
	return list
}

func TestParseMicrocode(t *testing.T) {
	intel := slices.Concat(intelUpdate(0x00050654, 0x2007006, 2000), intelUpdate(0x000906ea, 0xf4, 400, 0x000906eb,
		0x000906ea))
	updates, err := parseIntelMicrocode(intel)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"06-55-04 revision 0x2007006", "06-9e-0a revision 0xf4", "06-9e-0b revision 0xf4"}
	if diff := cmp.Diff(want, names(updates)); diff != "" {
		t.Errorf("Intel (-want +got):\n%s", diff)
	}
	amd := slices.Concat(
		amdContainer(map[uint32]uint16{0x00800f11: 0x8011, 0x00830f10: 0x8310}, 0x8301055, 0x8310),
		amdContainer(map[uint32]uint16{0x00a20f10: 0xa210}, 0xa20102b, 0xa210, 0xa211))
	if updates, err = parseAMDMicrocode(amd); err != nil {
		t.Fatal(err)
	}
	want = []string{"17-31-00 revision 0x8301055", "19-21-00 revision 0xa20102b", "processor a211 revision 0xa20102b"}
	if diff := cmp.Diff(want, names(updates)); diff != "" {
		t.Errorf("AMD (-want +got):\n%s", diff)
	}

	damaged := bytes.Clone(intel)
	damaged[100]++
	table := intelUpdate(0x906ea, 1, 400, 1)
	table[len(table)-1]++
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"Intel, a flipped byte":  {damaged, "checksum of the update"},
		"Intel, cut off":         {intel[:1000], "cut off or damaged"},
		"Intel, half a header":   {intel[:len(intelUpdate(1, 1, 2000))+20], "20 bytes are left"},
		"Intel, a flipped table": {table, "checksum of the table"},
		"text":                   {[]byte(strings.Repeat("no microcode\n", 10)), "neither Intel's nor AMD's"},
		"empty":                  {nil, "empty"},
		"AMD, cut off":           {amd[:len(amd)-1], "cut off"},
		"AMD, no table":          {append(amd[:4:4], amd[4+8+3*16:]...), "table of processors"},
		"AMD, no patch":          {amdContainer(nil, 1), "without patches"},
	} {
		var a, b blob
		if err := addBlob(tt.data, &a, &b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v lacks %q", name, err, tt.want)
		}
	}
}

// The microcode is the first of the image, uncompressed, and found where the
// kernel looks for it, whatever form it was given in.
func TestMicrocodeSegment(t *testing.T) {
	intel, other := intelUpdate(0x00050654, 0x2007006, 2000), intelUpdate(0x000906ea, 0xf4, 400)
	amd := amdContainer(map[uint32]uint16{0x00a20f10: 0xa210}, 0xa20102b, 0xa210)
	dir := t.TempDir()
	buildtest.Write(t, filepath.Join(dir, "intel-ucode", "06-55-04"), intel)
	buildtest.Write(t, filepath.Join(dir, "intel-ucode", "06-9e-0a"), other)
	buildtest.Write(t, filepath.Join(dir, "intel-ucode", "06-9e-0a.initramfs"), []byte("not for us"))
	buildtest.Write(t, filepath.Join(dir, "amd-ucode", "microcode_amd_fam19h.bin"), amd)
	buildtest.Write(t, filepath.Join(dir, "amd-ucode", "README"), []byte("text"))
	early := filepath.Join(t.TempDir(), "early.img")
	buildtest.Write(t, early, imageOf(t, initramfs.Entry{Name: initramfs.MicrocodeDir, Mode: initramfs.TypeDir | 0o755},
		initramfs.Entry{Name: initramfs.IntelBlob, Mode: initramfs.TypeFile | 0o644, Data: slices.Concat(intel, other)},
		initramfs.Entry{Name: initramfs.AMDBlob, Mode: initramfs.TypeFile | 0o644, Data: amd}))

	var first []byte
	for name, sources := range map[string][]string{
		"folder":          {dir},
		"two directories": {filepath.Join(dir, "intel-ucode"), filepath.Join(dir, "amd-ucode")},
		"files": {filepath.Join(dir, "intel-ucode", "06-55-04"), filepath.Join(dir, "intel-ucode",
			"06-9e-0a"), filepath.Join(dir, "amd-ucode", "microcode_amd_fam19h.bin")},
		"early cpio": {early},
	} {
		s := testSpec(t, buildtest.Tree(t))
		s.Microcode = sources
		r, image := makeImage(t, s)
		if first == nil {
			first = image
		}
		if !bytes.Equal(image, first) {
			t.Errorf("%s: the image is another", name)
		}
		want := []MicrocodeBlob{
			{Path: "/" + initramfs.AMDBlob, Updates: []string{"19-21-00 revision 0xa20102b"}},
			{Path: "/" + initramfs.IntelBlob, Updates: []string{"06-55-04 revision 0x2007006", "06-9e-0a revision 0xf4"}},
		}
		if diff := cmp.Diff(want, r.Microcode); diff != "" {
			t.Errorf("%s: report (-want +got):\n%s", name, diff)
		}
	}
	files, segments, err := ReadImage(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if segments[0].Offset != 0 || segments[0].Compression != compress.None {
		t.Errorf("first segment %+v, want it plain", segments[0])
	}
	got := map[string][]byte{}
	for _, f := range files {
		if f.Segment == 0 {
			got[f.Name] = f.Data
		}
	}
	want := map[string][]byte{
		"kernel": nil, "kernel/x86": nil, initramfs.MicrocodeDir: nil,
		initramfs.IntelBlob: slices.Concat(intel, other), initramfs.AMDBlob: amd,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMicrocodeErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "06-55-04")
	buildtest.Write(t, bad, []byte("short"))
	s := testSpec(t, buildtest.Tree(t))
	s.Microcode = []string{dir, filepath.Join(dir, "none"), t.TempDir()}
	_, err := Image(t.Context(), s, nil)
	for _, want := range []string{bad + ": byte 0: 5 bytes are left", "none: no such file", "no microcode in"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func FuzzMicrocode(f *testing.F) {
	f.Add(intelUpdate(0x00050654, 0x2007006, 64))
	f.Add(intelUpdate(0x000906ea, 0xf4, 16, 0x000906eb, 0x000906ea))
	f.Add(amdContainer(map[uint32]uint16{0x00a20f10: 0xa210}, 0xa20102b, 0xa210, 7))
	f.Add(slices.Concat(amdContainer(map[uint32]uint16{0x00800f11: 1}, 2, 1), amdContainer(nil, 3, 9)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var intel, amd blob
		if err := addBlob(data, &intel, &amd); err != nil {
			return
		}
		if len(intel.updates)+len(amd.updates) == 0 {
			t.Error("microcode without updates is accepted")
		}
		// What is taken can be read again as it lies in the image.
		var again blob
		if err := addBlob(slices.Concat(intel.data, amd.data), &again, &again); err != nil ||
			fmt.Sprint(names(again.updates)) != fmt.Sprint(append(names(intel.updates), names(amd.updates)...)) {
			t.Errorf("read again: %v, %v", names(again.updates), err)
		}
	})
}

// A summary names few processors and counts many: all of a package's are 5 kB in one line.
func TestMicrocodeSummary(t *testing.T) {
	many := make([]string, 120)
	for i := range many {
		many[i] = fmt.Sprintf("06-%02x-00 revision 0x1", i)
	}
	r := Report{Microcode: []MicrocodeBlob{
		{Path: "/" + initramfs.IntelBlob, Updates: many},
		{Path: "/" + initramfs.AMDBlob, Updates: many[:2]},
	}}
	var short, long strings.Builder
	if err := errors.Join(r.WriteText(&short), r.WriteMicrocode(&long)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"GenuineIntel.bin: for 120 processors (--tree lists them)\n",
		"AuthenticAMD.bin: 06-00-00 revision 0x1, 06-01-00 revision 0x1\n",
	} {
		if !strings.Contains(short.String(), want) {
			t.Errorf("summary lacks %q:\n%s", want, short.String())
		}
	}
	for line := range strings.Lines(short.String()) {
		if len(line) > 200 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	if n := strings.Count(long.String(), "\n  06-"); n != 122 {
		t.Errorf("%d processors listed:\n%s", n, long.String())
	}
}

// "auto" is what the root of the nodes has, not this machine.
func TestMicrocodeOfSysroot(t *testing.T) {
	for _, firmware := range []string{"lib/firmware", "usr/lib/firmware"} {
		root := t.TempDir()
		buildtest.Write(t, filepath.Join(root, firmware, "intel-ucode", "06-55-04"), intelUpdate(0x50654, 0x2007006, 16))
		intel, _, err := readMicrocode(t.Context(), root, []string{MicrocodeAuto})
		if diff := cmp.Diff([]string{"06-55-04 revision 0x2007006"}, names(intel.updates)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", firmware, err, diff)
		}
	}
	root := t.TempDir()
	_, _, err := readMicrocode(t.Context(), root, []string{MicrocodeAuto})
	if want := "no microcode in " + root + "/lib/firmware or " + root + "/usr/lib/firmware"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Sysroot, s.Microcode = root, []string{MicrocodeAuto}
	if _, err = Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "no microcode in "+root+
		"/lib/firmware") {
		t.Errorf("an image: %v", err)
	}
}
