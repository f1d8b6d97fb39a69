package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// asCommand, in the environment, makes the test binary be nodisk: it writes its largest memory into that
// file when it ends.
const asCommand = "NODISK_TEST_AS_COMMAND"

// beCommand is nodisk in a process of its own.
func beCommand(peak string) int {
	status := run(os.Args[1:], os.Stdout, os.Stderr)
	text, err := os.ReadFile("/proc/self/status")
	if err == nil {
		err = os.WriteFile(peak, text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return status
}

// A process is what became of nodisk in a process of its own.
type process struct {
	status         int
	signal         syscall.Signal // that ended it
	stdout, stderr string         // the first megabyte
	peak           int64          // resident, in bytes (VmHWM of proc_pid_status(5))
	cpu            float64        // seconds
}

// command prepares nodisk as a process of its own.
func command(t *testing.T, args ...string) (_ *exec.Cmd, peak string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	peak = filepath.Join(t.TempDir(), "status")
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), asCommand+"="+peak)
	return c, peak
}

func runProcess(t *testing.T, args ...string) process {
	t.Helper()
	c, peak := command(t, args...)
	var out, err limited
	c.Stdout, c.Stderr = &out, &err
	ended := c.Run()
	if _, ok := errors.AsType[*exec.ExitError](ended); ended != nil && !ok {
		t.Fatal(ended)
	}
	wait, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		t.Fatal("no wait status")
	}
	p := process{status: c.ProcessState.ExitCode(), stdout: out.String(), stderr: err.String(),
		cpu: c.ProcessState.UserTime().Seconds()}
	if wait.Signaled() {
		p.signal = wait.Signal()
		return p
	}
	status, readErr := os.ReadFile(peak)
	if readErr != nil {
		t.Fatalf("%v; %s", readErr, p.stderr)
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	kb, numberErr := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	if numberErr != nil {
		t.Fatal(numberErr)
	}
	p.peak = kb << 10
	return p
}

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := 1<<20 - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// A newc writes an archive.
type newc struct {
	w  io.Writer
	at int64
}

func (n *newc) put(p []byte) {
	if _, err := n.w.Write(p); err != nil {
		panic(err)
	}
	n.at += int64(len(p))
}

func (n *newc) pad() { n.put(make([]byte, -n.at&3)) }

// file writes a header, and content of size bytes.
func (n *newc) file(name string, mode uint32, content io.Reader, size int64) {
	n.put(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, mode, 0, 0, 1, 0, size, 0,
		0, 0, 0, len(name)+1, 0))
	n.put([]byte(name + "\x00"))
	n.pad()
	if size > 0 {
		m, err := io.CopyN(n.w, content, size)
		if err != nil {
			panic(err)
		}
		n.at += m
	}
	n.pad()
}

func (n *newc) dirs(names ...string) {
	for _, name := range names {
		n.file(name, 0o40755, nil, 0)
	}
}

func (n *newc) end() { n.file("TRAILER!!!", 0, nil, 0) }

// zeroes is as many zero bytes as are wanted.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// packedZstd writes an image in zstd.
func packedZstd(w io.Writer, write func(n *newc)) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	n := &newc{w: z}
	write(n)
	n.end()
	if err := z.Close(); err != nil {
		panic(err)
	}
}

// wideFrame is a zstd frame of one raw block that asks for a window of 128 MiB (RFC 8878, 3.1.1.1.2).
func wideFrame(content []byte) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3}
	block := uint32(len(content))<<3 | 1 //nolint:gosec // small
	frame = append(frame, byte(block), byte(block>>8), byte(block>>16))
	return append(frame, content...)
}

// A hostileImage is an image with the commands that it is hard on.
type hostileImage struct {
	commands string
	write    func(w io.Writer)
}

// hostile are images that are small and ask for much.
func hostile() map[string]hostileImage {
	const dir = "lib/modules/6.1.0"
	empty := func() []byte {
		var b bytes.Buffer
		(&newc{w: &b}).end()
		return b.Bytes()
	}()
	return map[string]hostileImage{
		"file of 2 GiB": {"inspect json plan base", func(w io.Writer) {
			packedZstd(w, func(n *newc) { n.file("init", 0o100755, zeroes{}, 2<<30) })
		}},
		"module of 3 GiB": {"plan check", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("lib", "lib/modules", dir)
				n.file(dir+"/x.ko", 0o100644, zeroes{}, 3<<30)
			})
		}},
		"modules of 100 MiB": {"plan check", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("lib", "lib/modules", dir)
				for i := range 8 {
					n.file(fmt.Sprintf("%s/x%d.ko", dir, i), 0o100644, zeroes{}, 100<<20)
				}
			})
		}},
		"indexes of 100 MiB": {"plan check", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("lib", "lib/modules", dir)
				for _, name := range []string{"dep", "alias", "softdep", "builtin"} {
					n.file(dir+"/modules."+name, 0o100644, zeroes{}, 100<<20)
				}
			})
		}},
		"header of 4 GiB": {"inspect plan check base", func(w io.Writer) {
			z := gzip.NewWriter(w)
			n := &newc{w: z}
			n.put(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
				0, 0o100644, 0, 0, 1, 0, uint32(0xffffffff), 0, 0, 0, 0, 2, 0))
			n.put([]byte("a\x00"))
			if err := z.Close(); err != nil {
				panic(err)
			}
		}},
		"windows": {"inspect plan", func(w io.Writer) {
			for range 500 {
				if _, err := w.Write(wideFrame(empty)); err != nil {
					panic(err)
				}
			}
		}},
		"blocks of nothing": {"inspect", func(w io.Writer) {
			head := binary.LittleEndian.AppendUint32(nil, 0x184c2102)
			out := bufio.NewWriter(w)
			_, _ = out.Write(head)
			for range 1 << 20 {
				_, _ = out.Write([]byte{1, 0, 0, 0, 0}) // an lz4 block of no bytes
			}
			if err := out.Flush(); err != nil {
				panic(err)
			}
		}},
		"segments": {"inspect plan", func(w io.Writer) {
			var one bytes.Buffer
			z := gzip.NewWriter(&one)
			_, _ = z.Write(empty)
			_ = z.Close()
			out := bufio.NewWriter(w)
			for range 200_000 {
				_, _ = out.Write(one.Bytes())
			}
			if err := out.Flush(); err != nil {
				panic(err)
			}
		}},
		"segments with files": {"inspect", func(w io.Writer) {
			out := bufio.NewWriter(w)
			n := &newc{w: out}
			for i := range 100_000 {
				n.file(fmt.Sprint(i), 0o100644, nil, 0)
				n.end()
			}
			if err := out.Flush(); err != nil {
				panic(err)
			}
		}},
		"files": {"inspect tree json plan check diff", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("d")
				for i := range 200_000 {
					n.file(fmt.Sprintf("d/%d", i), 0o100644, nil, 0)
				}
			})
		}},
		"directories of modules": {"inspect plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("lib", "lib/modules")
				for i := range 100_000 {
					at := fmt.Sprintf("lib/modules/%d", i)
					n.dirs(at)
					n.file(at+"/a.ko", 0o100644, nil, 0)
				}
			})
		}},
		"names": {"inspect", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				for i := range 20_000 {
					n.file(fmt.Sprintf("%d/", i)+strings.Repeat("a/", 2000)+"x", 0o100644, nil, 0)
				}
			})
		}},
		"deep directories": {"tree diff", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				for i := range 16_000 {
					n.file(fmt.Sprintf("%d/", i)+strings.Repeat("a/", 2000)+"x", 0o100644, nil, 0)
				}
			})
		}},
		"links": {"plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("d")
				for i := range 39 {
					n.file(fmt.Sprint("l", i), 0o120777, strings.NewReader(strings.Repeat("./", 2000)+fmt.Sprint("l",
						i+1)), 4000+int64(len(fmt.Sprint("l", i+1))))
				}
				n.file("l39", 0o120777, strings.NewReader("d"), 1)
				for i := range 100_000 {
					n.file(fmt.Sprintf("l0/%d", i), 0o100644, nil, 0)
				}
			})
		}},
		// Directories in directories, by links that lead on to links: far longer paths than names can be.
		"deep links": {"file plan unpack", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				before, most := "", strings.Repeat("a/", 1998)+"a"
				for i := range 10 {
					for depth := 1; depth < 2000; depth++ {
						n.dirs(before + most[:2*depth-1])
					}
					target := before + most
					n.file(fmt.Sprint("l", i), 0o120777, strings.NewReader(target), int64(len(target)))
					before = fmt.Sprintf("l%d/", i)
				}
				n.file("init", 0o100755, strings.NewReader("x"), 1)
			})
		}},
		// Directories as deep as a path can be, with files in them.
		"deep files": {"file plan unpack", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				most := strings.Repeat("a/", 1998)
				for depth := 1; depth < 1998; depth++ {
					n.dirs(most[:2*depth-1])
				}
				for i := range 8000 {
					n.file(fmt.Sprint(most, i), 0o100644, strings.NewReader("x"), int64(i&1))
				}
				n.file("init", 0o100755, strings.NewReader("x"), 1)
			})
		}},
		"trailers": {"inspect plan", func(w io.Writer) {
			z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
			if err != nil {
				panic(err)
			}
			n := &newc{w: z}
			for range 2_000_000 {
				n.end()
			}
			if err := z.Close(); err != nil {
				panic(err)
			}
		}},
		"target": {"inspect plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) { n.file("l", 0o120777, zeroes{}, 1<<30) })
		}},
		"config": {"inspect plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("etc", "etc/nodisk")
				n.file("etc/nodisk/nodisk.conf", 0o100600, strings.NewReader(strings.Repeat("nodisk.profile=virt\n",
					50<<20/20)), 50<<20)
			})
		}},
		"files of modprobe.d": {"plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("etc", "etc/modprobe.d")
				for i := range 16 {
					n.file(fmt.Sprintf("etc/modprobe.d/%d.conf", i), 0o100644, zeroes{}, 60<<20)
				}
			})
		}},
		"words of modprobe.d": {"plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("etc", "etc/nodisk", "etc/modprobe.d")
				n.file("etc/nodisk/nodisk.conf", 0o100600, nil, 0)
				text := "options x" + strings.Repeat(" a=", 2<<20/3-16)
				n.file("etc/modprobe.d/a.conf", 0o100644, strings.NewReader(text), int64(len(text)))
			})
		}},
		"line": {"inspect plan", func(w io.Writer) {
			packedZstd(w, func(n *newc) {
				n.dirs("etc", "etc/nodisk")
				n.file("etc/nodisk/nodisk.conf", 0o100600, strings.NewReader("nodisk.profile="+strings.Repeat("x",
					50<<20)), 50<<20)
			})
		}},
	}
}

// Limits of what an image may cost that is not what it seems, above what the command takes anyway. The
// time is the processor's, and some ten times what it takes: what is quadratic takes a hundred times as long.
const (
	hostilePeak = 256 << 20
	hostileTime = 30
)

// Whatever an image promises, reading it takes 256 MiB at most, and time in proportion to its size.
func TestHostileImages(t *testing.T) {
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	out := filepath.Join(t.TempDir(), "out")
	commands := map[string]func(image string) []string{
		"inspect": func(image string) []string { return []string{"inspect", image} },
		"tree":    func(image string) []string { return []string{"inspect", "--tree", image} },
		"json":    func(image string) []string { return []string{"inspect", "--json", image} },
		"plan":    func(image string) []string { return []string{"plan", "--image", image} },
		"check":   func(image string) []string { return []string{"check", "--kernel", kernel, "--image", image} },
		"file":    func(image string) []string { return []string{"inspect", "-f", "init", image} },
		"unpack":  func(image string) []string { return []string{"inspect", "--unpack", image + ".d", image} },
		"diff":    func(image string) []string { return []string{"diff", image, image} },
		"base": func(image string) []string {
			return []string{"build", "--base", image, "--kernel", kernel, "--modules", kernelDir(t), "--profile",
				"virt", "--no-cache", "--init", "/bin/true", "-o", out}
		},
	}
	plain := filepath.Join(t.TempDir(), "plain")
	write(t, plain, func(w io.Writer) { packedZstd(w, func(*newc) {}) })
	need := make(map[string]int64)
	for what, args := range commands {
		need[what] = runProcess(t, args(plain)...).peak
	}
	for name, image := range hostile() {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), "image")
			write(t, at, image.write)
			for what := range strings.FieldsSeq(image.commands) {
				p := runProcess(t, commands[what](at)...)
				over := p.peak - need[what]
				t.Logf("%-8s %4d MiB and %3d, %5.1f s, status %d: %.200s", what, need[what]>>20, over>>20, p.cpu,
					p.status, p.stderr)
				if p.status < 0 || p.status > 2 || over > hostilePeak || p.cpu > hostileTime {
					t.Errorf("%s: status %d, %d MiB more than for an empty image, %.1f s: %.200s",
						what, p.status, over>>20, p.cpu, p.stderr)
				}
			}
		})
	}
}

func write(t *testing.T, at string, image func(w io.Writer)) {
	t.Helper()
	f, err := os.Create(at)
	if err != nil {
		t.Fatal(err)
	}
	image(f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
