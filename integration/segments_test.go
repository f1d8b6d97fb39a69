package integration

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// An image of all kinds of segments boots: microcode before everything, the image
// itself in several segments, a secret after it, and a file with the secrets of
// the node after that, as a boot loader adds it.
//
// A root in RAM keeps what is in the image, so it can tell.
func TestBootSegments(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootRAM, Static: true}
	needs(t, spec)
	tree, dir := t.TempDir(), t.TempDir()
	add, err := lab.AddFlags(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "sbin/secrets"), []byte(secrets),
		0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	at := func(name string, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	image := buildImage(t, "ram,virt,mlx5", append(add, "--compress", "zstd", "--strip-signatures",
		"--microcode", at("06-9e-0a", microcode(0x906ea, 0xf4)), "--secret", at("chap", "of all"), "--secret",
		at("rack", "of the rack"))...)
	out := filepath.Join(dir, "node.secret")
	nodiskRun(t, "build", "--secret-only", "--secret", at("own", "of the node")+":/etc/nodisk/chap", "--secret-out",
		out)
	text := nodiskRun(t, "inspect", "--no-files", image)
	if strings.Count(text, " in none,") != 1 || strings.Count(text, "\nsegment ") < 4 {
		t.Errorf("want microcode, at least two segments of zstd, and one of secrets:\n%s", text)
	}
	var whole []byte
	for _, name := range []string{image, out} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, data...)
	}
	spec.Image = at("whole.img", string(whole))
	spec.Kernel = filepath.Join(kernelDir(t), "vmlinuz")
	spec.Cmdline, spec.Timeout = "root=/dev/ram init=/sbin/secrets nodisk.onfail=poweroff "+
		"nodisk.deadline=60s", 4*time.Minute
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Reached {
		t.Fatalf("root not reached: %s; the console's end:\n%s", res.Why, transcript.Tail(res.Console, 40))
	}
	// Of two segments with one file the later one counts.
	if got, want := strings.Join(said(res, "secrets"), " "), "of the node 600 of the rack 600"; got != want {
		t.Errorf("the node has %q, want %q", got, want)
	}
}

// secrets is an init that tells what a node was given, before the root's own.
const secrets = `#!/bin/busybox sh
b=/bin/busybox
exec </dev/console >/dev/console 2>&1
cd /etc/nodisk
echo "nodisk-root: secrets $($b cat chap) $($b stat -c %a chap) $($b cat rack) $($b stat -c %a rack)"
exec /sbin/init
`

// microcode is an update by Intel's format (the kernel's struct
// microcode_header_intel) for a processor that the node does not have.
func microcode(signature, revision uint32) string {
	words := make([]uint32, (48+2000)/4)
	copy(words, []uint32{1, revision, 0x06012023, signature, 0, 1, 1, 2000, 2048})
	sum := uint32(0)
	for _, w := range words {
		sum += w
	}
	words[4] = -sum
	var data []byte
	for _, w := range words {
		data = binary.LittleEndian.AppendUint32(data, w)
	}
	return string(data)
}
