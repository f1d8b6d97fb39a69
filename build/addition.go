package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An Addition is a file or a directory of the build machine and its place in the
// image.
type Addition struct {
	Source      string
	Destination string // with or without a slash at the beginning
}

// UnmarshalText reads "SRC:DST", or "SRC" for the same place in the image.
func (a *Addition) UnmarshalText(text []byte) error {
	source, destination, err := splitPlace(string(text))
	if err != nil {
		return err
	}
	if destination == "" && source == string(text) {
		if destination, err = filepath.Abs(source); err != nil {
			return err
		}
	}
	if source == "" || destination == "" {
		return fmt.Errorf("%q is not SRC:DST, a file or directory here and its path in the image", text)
	}
	*a = Addition{Source: source, Destination: destination}
	return nil
}

// splitPlace cuts "SRC:DST" before the last path that begins with a slash, so that SRC may have
// colons; without a slash, at the only colon there is. A DST with ":/" in it cannot be said.
// destination is empty where there is no colon.
func splitPlace(text string) (source, destination string, err error) {
	if i := strings.LastIndex(text, ":/"); i >= 0 {
		return text[:i], text[i+1:], nil
	}
	source, destination, ok := strings.Cut(text, ":")
	if !ok {
		return text, "", nil
	}
	if _, err := os.Lstat(text); err == nil || strings.Contains(destination, ":") {
		return "", "", fmt.Errorf("%q: which of its colons is before the path in the image? Begin that path with a "+
			"slash: %s:/%s",
			text, text, filepath.Base(text))
	}
	if destination == "" { // which is not the same as no colon
		return "", "", nil
	}
	return source, destination, nil
}

// An Owner says whose added files are in the image.
type Owner uint8

// Owners of added files.
const (
	OwnerKeep Owner = iota + 1 // those that they have on the build machine
	OwnerRoot                  // root, as for all other files
)

// String returns the name as --owner takes it.
func (o Owner) String() string {
	switch o {
	case OwnerKeep:
		return "keep"
	case OwnerRoot:
		return "root"
	}
	return fmt.Sprintf("Owner(%d)", uint8(o))
}

// UnmarshalText is the reverse of String.
func (o *Owner) UnmarshalText(text []byte) error {
	for _, one := range []Owner{OwnerKeep, OwnerRoot} {
		if string(text) == one.String() {
			*o = one
			return nil
		}
	}
	return fmt.Errorf("owner %q: take keep or root", text)
}
