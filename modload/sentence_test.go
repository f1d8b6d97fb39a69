package modload

import "testing"

func TestSentence(t *testing.T) {
	for name, tt := range map[string]struct {
		messages []string
		want     string
	}{
		"version before the symbols that follow": {
			[]string{"ext4: Unknown symbol a (err -2)", "ext4: disagrees about version of symbol module_layout"},
			"ext4: disagrees about version of symbol module_layout",
		},
		"others speak too": {
			[]string{"ext4_more: Unknown symbol x (err 0)", "myext4: hello", "xfs: Unknown symbol y (err 0)",
				"ext4: said this"},
			"ext4: said this",
		},
		"nobody named": {[]string{"eth0: link up", "Loading of unsigned module is rejected"},
			"Loading of unsigned module is rejected"},
		"nothing at all":  {nil, ""},
		"nothing of it":   {[]string{"eth0: link up"}, ""},
		"dashes":          {[]string{"in ext4-: fault"}, ""},
		"at the very end": {[]string{"bad module ext4"}, "bad module ext4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sentence("ext4", tt.messages); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if !about("crc32c_intel", "crc32c-intel: no") {
		t.Error("a driver that writes its name with a dash is not recognised")
	}
}

func FuzzSentence(f *testing.F) {
	f.Add("ext4: Unknown symbol jbd2_\n (err -2)")
	f.Fuzz(func(t *testing.T, message string) {
		if got := sentence("ext4", []string{message}); got != "" && got != message {
			t.Errorf("%q of %q", got, message)
		}
	})
}
