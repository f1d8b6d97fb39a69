package build

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

// What an editor left in a config is told, and so is what /init would warn of.
func TestImageTellsOfConfig(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	s.ConfigFile = "/srv/rack.conf"
	s.Config = []byte("\ufeffnodisk.onfial=reboot\r\nip=dhcp\r\n")
	s.CheckConfig = func(r io.Reader) ([]string, error) {
		text, err := io.ReadAll(r)
		if !strings.HasPrefix(string(text), "nodisk.profile=virt,iscsi,ext4\n") {
			t.Errorf("checked is %q", text)
		}
		return []string{"nodisk.onfial: unknown key"}, err
	}
	r, err := Image(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(r.Warnings, "\n")
	for _, want := range []string{
		"config /srv/rack.conf: nodisk.onfial: unknown key",
		"config /srv/rack.conf: it has a byte order mark",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings %q lack %q", r.Warnings, want)
		}
	}
	s.Config = []byte("\xff\xfei\x00p\x00")
	if _, err := Image(t.Context(), s, nil); err == nil ||
		!strings.Contains(err.Error(), "read config /srv/rack.conf: the file is in UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
	for text, want := range map[string]string{
		"nodisk.profile=xfs\n": "read config /srv/rack.conf: nodisk.profile=xfs is not in the image",
		"ip=dhcp\n":            "check config /srv/rack.conf: refused",
	} {
		s.Config = []byte(text)
		s.CheckConfig = func(io.Reader) ([]string, error) { return nil, errors.New("refused") }
		if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
