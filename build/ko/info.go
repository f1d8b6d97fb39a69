package ko

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of ReadInfo.
const (
	infoMax = 256 << 20 // bytes of a module that are searched
	infoGap = 64        // NULs between two records: compilers aligned them before Linux 5.8
)

var errNoInfo = errors.New("no .modinfo found")

// ReadInfo reads the records of .modinfo from the beginning of a module's file, unpacked, without reading
// the rest: mostly four fifths, with relocations, symbols and debugging data. Which sections a file
// has is written at its end, so .modinfo is known by what is in it: records "key=value" ended by NUL, among
// them "vermagic=" and "depends=", which every module has. Strings of this form that happen to lie beside them
// are taken for records too. An error is a file in which that is not found, or that cannot be read;
// [Parse] tells what it is. buf is scratch space, which may be nil, and is returned to be used again.
func ReadInfo(r io.Reader, buf []byte) (info []Field, scratch []byte, err error) {
	buf = buf[:0]
	searched := 0 // buf[:searched] has no vermagic
	anchor := -1
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(64<<10, len(buf)))...)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return nil, buf, fmt.Errorf("read kernel module: %w", err)
		}
		if len(buf) >= 4 && string(buf[:4]) != "\x7fELF" {
			return nil, buf, errNotELF
		}
		if anchor < 0 {
			if i := bytes.Index(buf[searched:], []byte("\x00vermagic=")); i >= 0 {
				anchor = searched + i + 1
			}
			searched = max(0, len(buf)-len("\x00vermagic="))
		}
		if anchor >= 0 {
			if end, done := recordsEnd(buf, anchor); done || ended {
				if info = parseInfo(buf[recordsBegin(buf, anchor):end]); info == nil {
					return nil, buf, errNoInfo // it only looked like a record
				}
				return info, buf, nil
			}
		}
		if ended || len(buf) > infoMax {
			return nil, buf, errNoInfo
		}
	}
}

// ParseInfo reads the records of .modinfo of a module's file, unpacked and whole.
func ParseInfo(data []byte) ([]Field, error) {
	o, err := openObject(data)
	if err != nil {
		return nil, fmt.Errorf("read kernel module: %w", err)
	}
	info := parseInfo(o.section(".modinfo"))
	if info == nil {
		return nil, errNoInfo
	}
	return info, nil
}

// recordsEnd is where the records end that begin at a place; done is false if data may have more of them.
func recordsEnd(data []byte, at int) (end int, done bool) {
	for {
		n := bytes.IndexByte(data[at:], 0)
		if n < 0 {
			return at, false
		}
		if !isRecord(data[at : at+n]) {
			return at, true
		}
		at += n
		next := at
		for next < len(data) && data[next] == 0 {
			next++
		}
		switch {
		case next-at > infoGap:
			return at, true
		case next == len(data):
			return at, false
		}
		at = next
	}
}

// recordsBegin is where the records begin of which one begins at a place. The first follows whatever
// the section before ends with, which need not be NUL: there a key that modules have begins it.
func recordsBegin(data []byte, at int) int {
	for {
		end := at
		for end > 0 && data[end-1] == 0 {
			end--
		}
		begin := bytes.LastIndexByte(data[:end], 0) + 1
		switch record := data[begin:end]; {
		case at-end > infoGap:
			return at + knownKey(data[at:])
		case isRecord(record):
			at = begin
		default:
			if i := knownKey(record); i < len(record) && isRecord(record[i:]) {
				return begin + i
			}
			return at + knownKey(data[at:])
		}
	}
}

// knownKey is where the first key that modules have begins in a text that may begin with other bytes: 0 if it
// begins with a key of another name, and the text's length if it has none.
func knownKey(text []byte) int {
	text, _, _ = bytes.Cut(text, []byte{0})
	best := len(text)
	for _, key := range []string{
		"alias", "author", "depends", "description", "firmware", "import_ns", "license", "name", "parm", "parmtype",
		"softdep", "srcversion", "staging", "version", "vermagic", "weakdep",
	} {
		if i := bytes.Index(text, []byte(key+"=")); i >= 0 {
			best = min(best, i)
		}
	}
	if best == len(text) && isRecord(text) {
		return 0
	}
	return best
}

// isRecord reports whether text is "key=value": a key as programs have them, and no control characters
// but those of a description in several lines.
func isRecord(text []byte) bool {
	key, value, ok := bytes.Cut(text, []byte{'='})
	if !ok || len(key) == 0 || len(key) > 64 {
		return false
	}
	for _, c := range key {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return true
}
