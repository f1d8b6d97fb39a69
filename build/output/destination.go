package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stdout as one of Spec.Out, Spec.SecretOut and Spec.SBOM is the standard output.
const Stdout = "-"

// destinationKind is how an output gets to where it goes.
type destinationKind int

// The kinds of destinations.
const (
	_              destinationKind = iota
	toFile                         // under another name or none at first
	ToStdout                       // as it comes, like the next two
	toDescriptor                   // a file that this process was given open, /dev/fd/N
	toPipe                         // a FIFO, or /dev/null
	maxOutputLinks = 40            // as many symbolic links as the kernel follows, path_resolution(7)
)

// A Destination is what the path of an output stands for.
type Destination struct {
	Name string // as it was given
	Kind destinationKind
	Path string      // of toFile, without symbolic links, and of toPipe
	fd   int         // of toDescriptor
	Info fs.FileInfo // what is there; nil if there is nothing, or nothing that could be told from others
}

// Name is how a sentence calls an output of that name.
func Name(name string) string {
	if name == Stdout {
		return "the standard output"
	}
	return name
}

// IsStdout reports whether an output of that name goes to the standard output.
func IsStdout(name string) bool {
	d, err := Find(name)
	return err == nil && d.Kind == ToStdout
}

// IsStream reports whether an output of that name is written as it comes, to a pipe or the standard output, and
// cannot be read again.
func IsStream(name string) bool {
	d, err := Find(name)
	return err == nil && d.Kind != toFile
}

// Find finds what an output's path stands for, and refuses what no output can be written to. Symbolic
// links are followed, also to a file that is not there yet.
func Find(name string) (Destination, error) {
	if name == "" {
		return Destination{}, errors.New("the path is empty: give a file")
	}
	if name == Stdout {
		return stdoutDestination(name), nil
	}
	path, fd, err := followOutput(name)
	if err != nil {
		return Destination{}, err
	}
	switch {
	case fd == int(os.Stdout.Fd()):
		return stdoutDestination(name), nil
	case fd >= 0:
		d := Destination{Name: name, Kind: toDescriptor, fd: fd}
		if d.Info, err = os.Stat(name); err != nil {
			return Destination{}, err
		}
		return d, nil
	}
	d := Destination{Name: name, Kind: toFile, Path: path}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return Destination{}, err
	}
	d.Info = info
	switch info.Mode().Type() {
	case 0:
		return d, nil
	case fs.ModeNamedPipe:
		d.Kind = toPipe
		return d, nil
	case fs.ModeDevice | fs.ModeCharDevice:
		d.Kind = toPipe
		return d, takesBytes(name, info)
	case fs.ModeDir:
		return Destination{}, fmt.Errorf("%s is a directory: give a file in it", name)
	case fs.ModeDevice:
		return Destination{}, fmt.Errorf("%s is a disk: nodisk writes files", name)
	default:
		return Destination{}, fmt.Errorf("%s is neither a file nor a pipe: give another path", name)
	}
}

func stdoutDestination(name string) Destination {
	d := Destination{Name: name, Kind: ToStdout, fd: int(os.Stdout.Fd())}
	if info, err := os.Stdout.Stat(); err == nil { // closed: writing to it says so
		d.Info = info
	}
	return d
}

// followOutput follows the symbolic links of an output's path. The result is the path of a file that need not be
// there, in a directory that is, or the number of a descriptor of this process (else -1).
func followOutput(name string) (path string, fd int, err error) {
	path = name
	for range maxOutputLinks {
		above, base := filepath.Split(path)
		dir, err := RealName(above)
		if errors.Is(err, fs.ErrNotExist) {
			return "", -1, fmt.Errorf("%s: there is no directory %s: make it, or give another path",
				name, filepath.Clean(above))
		}
		if err != nil {
			return "", -1, fmt.Errorf("%s: %w", name, cause(err))
		}
		if base == "" || base == "." || base == ".." {
			return dir + "/" + base, -1, nil
		}
		path = filepath.Join(dir, base)
		// A link of proc(5) to an open file: its text is not always a path.
		if pid, number, ok := strings.Cut(path, "/fd/"); ok && strings.TrimPrefix(pid,
			"/proc/") == strconv.Itoa(os.Getpid()) {
			if fd, err := strconv.Atoi(number); err == nil && fd >= 0 {
				return "", fd, nil
			}
		}
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, -1, nil
		case err != nil:
			return "", -1, fmt.Errorf("%s: %w", name, err)
		case info.Mode()&fs.ModeSymlink == 0:
			return path, -1, nil
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", -1, fmt.Errorf("%s: %w", name, err)
		}
		if !filepath.IsAbs(target) {
			target = dir + "/" + target // not cleaned: LINK/.. is above what the link leads to
		}
		path = target
	}
	return "", -1, fmt.Errorf("%s: its symbolic links go round in a circle", name)
}

// RealName is the path of what is there without symbolic links, from the root on.
func RealName(path string) (string, error) {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = dir + "/" + path
	}
	return filepath.EvalSymlinks(path)
}

// takesBytes refuses devices but /dev/null, /dev/zero and /dev/full: what an image does to another nobody wants.
// Numbers are those of Documentation/admin-guide/devices.txt.
func takesBytes(name string, info fs.FileInfo) error {
	major, minor := deviceOf(info)
	if major == 1 && (minor == 3 || minor == 5 || minor == 7) {
		return nil
	}
	if major == 4 || major == 5 || major >= 136 && major <= 143 {
		return terminalError(name)
	}
	return fmt.Errorf("%s is a device: give a file or a pipe", name)
}

func terminalError(name string) error {
	return fmt.Errorf("%s is a terminal, and this is not text: give a file, or a pipe", Name(name))
}

// Same reports whether a file is what an output would replace.
func (d Destination) Same(path string, info fs.FileInfo) bool {
	if d.Info != nil && info != nil && info.Mode()&fs.ModeCharDevice == 0 && os.SameFile(d.Info, info) {
		return true
	}
	return d.Kind == toFile && d.Path == path
}

// Below is an output's path below a directory, of a path without symbolic links, and whether it is there.
func (d Destination) Below(dir string) (string, bool) {
	if d.Kind != toFile {
		return "", false
	}
	below, err := filepath.Rel(dir, d.Path)
	return below, err == nil && filepath.IsLocal(below)
}

// Takes refuses a terminal unless what is written is text, and a standard stream that was closed.
func (d Destination) Takes(text bool) error {
	terminal, err := d.given(isTerminal)
	if err != nil {
		return err
	}
	lost, err := d.given(isLost)
	switch {
	case err != nil:
		return err
	case terminal && !text:
		return terminalError(d.Name)
	case lost:
		return fmt.Errorf("%s is closed, and nothing would be left of what is written: give a file or a pipe, or "+
			"/dev/null for trying",
			Name(d.Name))
	}
	return nil
}

// given looks at the file of an output that this process was started with; there is none for other outputs.
func (d Destination) given(look func(*os.File) bool) (bool, error) {
	switch d.Kind {
	case ToStdout:
		return look(os.Stdout), nil
	case toDescriptor:
		f, err := duplicate(d.fd, d.Name)
		if err != nil {
			return false, err
		}
		return look(f), f.Close()
	default:
		return false, nil // Find has refused it
	}
}

// open opens what is written to as it comes. For a FIFO it waits for whoever reads, as long as stop is open.
func (d Destination) open(stop <-chan struct{}, stdout io.Writer) (io.Writer, io.Closer, error) {
	switch d.Kind {
	case ToStdout:
		return stdout, nil, nil
	case toDescriptor:
		f, err := duplicate(d.fd, d.Name)
		return f, f, err
	default:
		f, err := openPipe(stop, d.Path)
		return f, f, err
	}
}

var errNoReader = errors.New("nobody reads from it")

// openPipe opens a FIFO to write to it. fifo(7): that waits for a reader.
func openPipe(stop <-chan struct{}, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-stop:
	}
	// Whoever opens the other end ends the wait.
	reader, err := openReader(path)
	if err != nil {
		return nil, err
	}
	o := <-done
	if o.err == nil {
		o.err = o.f.Close()
	}
	return nil, errors.Join(errNoReader, o.err, reader.Close())
}
