package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/internal/testenv"
)

// A disk whose format is only guessed gives a node no other file of this machine.
func TestGuessFormat(t *testing.T) {
	_, err := tool.QEMUImg().Find()
	testenv.Needs(t, err == nil, tool.QEMUImg().Name)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("secret"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		create []string
		want   string // the format, or what the error has
		fails  bool
	}{
		"raw":   {[]string{"-f", "raw", at("raw"), "1M"}, "raw", false},
		"qcow2": {[]string{"-f", "qcow2", at("qcow2"), "1M"}, "qcow2", false},
		"vmdk":  {[]string{"-f", "vmdk", at("vmdk"), "1M"}, "vmdk", false},
		"vdi":   {[]string{"-f", "vdi", at("vdi"), "1M"}, "vdi", false},
		"backing": {
			[]string{"-f", "qcow2", "-F", "raw", "-b", at("secret"), at("backing")},
			"give --disk-format qcow2 if that is meant, or --disk-format raw", true,
		},
		"gone": {
			[]string{"-u", "-f", "qcow2", "-F", "raw", "-b", at("nothing"), at("gone"), "1M"},
			at("nothing"), true,
		},
		"data file": {
			[]string{"-f", "qcow2", "-o", "data_file=" + at("data"), at("data file"), "1M"},
			at("data"),
			true,
		},
		"flat extent": {
			[]string{"-f", "vmdk", "-o", "subformat=monolithicFlat", at("flat extent"), "1M"},
			"looks like vmdk with content in another file", true,
		},
		"vmdk parent": {
			[]string{"-f", "vmdk", "-F", "vmdk", "-b", at("parent"), at("vmdk parent")},
			at("parent"),
			true,
		},
		"qed backing": {[]string{"-f", "qed", "-F", "raw", "-b", at("secret"), at("qed backing")}, at("secret"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "vmdk parent" {
				if err := tool.QEMUImg().Run(t.Context(), "create", "-q", "-f", "vmdk", at("parent"), "1M"); err != nil {
					t.Fatal(err)
				}
			}
			if err := tool.QEMUImg().Run(t.Context(), append([]string{"create", "-q"}, tt.create...)...); err != nil {
				t.Fatal(err)
			}
			got, err := guessFormat(t.Context(), at(name))
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != tt.fails || !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
