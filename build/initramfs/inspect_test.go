package initramfs

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
)

// archive makes a small cpio.
func archive(t testing.TB, files ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteCPIO(&out, files, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func conf(text string) Entry {
	return Entry{Name: ConfigPath, Mode: TypeFile | 0o600, Data: []byte(text)}
}

// Segments of every compression, in every order, padded or not, as
// "cat microcode.cpio initrd node.cpio" makes them.
func TestInspectSegments(t *testing.T) {
	for _, first := range compress.Compressions() {
		for _, second := range compress.Compressions() {
			for _, pad := range []int{0, 4, 512} {
				t.Run(fmt.Sprintf("%v, %d, %v", first, pad, second), func(t *testing.T) {
					a := archive(t, conf("nodisk.profile=virt\nip=dhcp\n"), Entry{
						Name: "a",
						Mode: TypeFile | 0o644, Data: []byte("a"),
					})
					b := archive(t, Entry{Name: "init", Mode: TypeFile | 0o755, Data: []byte("program")},
						conf("nodisk.profile=nfs,eth\n"))
					image := append(cpiotest.Packed(t, first, a), make([]byte, pad)...)
					for pad > 0 && len(image)%4 != 0 {
						image = append(image, 0)
					}
					if pad == 0 && (first == compress.LZ4 && second != compress.LZ4 || second == compress.None && len(image)%4 != 0) {
						return // the kernel does not take these, see TestInspectErrors
					}
					image = append(image, cpiotest.Packed(t, second, b)...)
					c, err := Inspect(bytes.NewReader(image))
					if err != nil {
						t.Fatal(err)
					}
					var names []string
					for _, f := range c.Files {
						names = append(names, fmt.Sprint(f.Segment, " ", f.Name))
					}
					want := []string{"0 " + ConfigPath, "0 a", "1 init", "1 " + ConfigPath}
					if diff := cmp.Diff(want, names); diff != "" {
						t.Errorf("files (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff([]string{"nfs", "eth"}, c.Profiles); diff != "" {
						t.Errorf("profiles (-want +got):\n%s", diff)
					}
					if n := c.Segments[0].Bytes + c.Segments[1].Bytes; n != int64(len(image)) {
						t.Errorf("segments are %d bytes of %d", n, len(image))
					}
				})
			}
		}
	}
}

func TestInspectErrors(t *testing.T) {
	good := archive(t, conf("ip=dhcp\n"))
	var huge bytes.Buffer
	huge.Write(good[:94])
	huge.WriteString("FFFFFFFF00000000")
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":     {nil, "empty"},
		"zeroes":      {make([]byte, 4096), "empty"},
		"text":        {[]byte("hello"), "neither a cpio archive"},
		"cut off":     {good[:len(good)-200], "cut off"},
		"lz4 cut off": {cpiotest.Packed(t, compress.LZ4, good)[:40], "cut off"},
		"xz cut off":  {cpiotest.Packed(t, compress.XZ, good)[:60], "xz"},
		"rubbish after": {
			append(bytes.Clone(good), "hello"...), "after 1 valid segment",
		},
		"lz4 without a gap": {append(cpiotest.Packed(t, compress.LZ4, good), good...), "zero bytes between"},
		"cpio at odd place": {append(cpiotest.Packed(t, compress.None, good), append([]byte{0}, good...)...), "multiple of 4"},
		"long name":         {huge.Bytes(), "a name of 4294967295 bytes"},
		"not an archive":    {cpiotest.Packed(t, compress.Gzip, bytes.Repeat([]byte("hello "), 99)), "instead of 070701"},
		"new lz4 frame":     {[]byte("\x04\x22\x4d\x18\x64\x40"), "lz4 -l"},
		"kernel":            {buildtest.BzImage("6.1.0"), "a kernel, not"},
		"old cpio format":   {[]byte("0707070000"), "newc"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Inspect(bytes.NewReader(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

func TestInspectIsBounded(t *testing.T) {
	image := cpiotest.Packed(t, compress.Zstd, archive(t, Entry{Name: "zero", Mode: TypeFile, Data: make([]byte, 4<<20)}))
	if _, err := inspect(image, 1<<20); err == nil || !strings.Contains(err.Error(), "more than an initramfs") {
		t.Errorf("4 MiB passed a limit of 1: %v", err)
	}
}

func TestModeString(t *testing.T) {
	for mode, want := range map[uint32]string{
		TypeDir | 0o1777: "drwxrwxrwt", TypeFile | 0o4755: "-rwsr-xr-x", TypeFile | 0o2640: "-rw-r-S---",
		TypeChar | 0o600: "crw-------",
		TypeLink | 0o777: "lrwxrwxrwx", 0o111: "?--x--x--x",
	} {
		if got := (File{Mode: mode}).ModeString(); got != want {
			t.Errorf("%o: %s, want %s", mode, got, want)
		}
	}
}

func FuzzInspect(f *testing.F) {
	small := archive(f, conf("nodisk.profile=virt\n"), Entry{Name: "l", Mode: TypeLink | 0o777, Data: []byte("t")})
	for _, c := range compress.Compressions() {
		f.Add(cpiotest.Packed(f, c, small))
		f.Add(append(cpiotest.Packed(f, c, small), cpiotest.Packed(f, compress.None, small)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := inspect(data, 8<<20)
		if err != nil {
			return
		}
		var out strings.Builder
		if err := c.WriteText(&out, true); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r < ' ' && r != '\n' {
				t.Fatalf("a control character %q reaches the terminal", r)
			}
		}
	})
}

// inspect is Inspect with a limit for what may be unpacked.
func inspect(data []byte, maxRaw int64) (Contents, error) {
	return listing{maxRaw: maxRaw}.read(context.Background(), BytesSource(data))
}
