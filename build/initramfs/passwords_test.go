package initramfs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/cpiotest"
)

func TestWithoutPasswords(t *testing.T) {
	for line, want := range map[string]string{
		"root=iscsi:node7:geheim@192.0.2.1::3260:1:iqn.2024-01.org.example:node7":  "root=iscsi:node7:***@192.0.2.1::3260:1:iqn.2024-01.org.example:node7",
		`root="iscsi:node7:a b:target:c d@192.0.2.1::::iqn.2024-01.org.example:x"`: `root="iscsi:node7:***@192.0.2.1::::iqn.2024-01.org.example:x"`,
		"root=iscsi:192.0.2.1::3260:1:iqn.2024-01.org.example:node7":               "root=iscsi:192.0.2.1::3260:1:iqn.2024-01.org.example:node7",
		"root=iscsi:node7@192.0.2.1::::iqn.2024-01.org.example:node7":              "root=iscsi:node7@192.0.2.1::::iqn.2024-01.org.example:node7",
		"iscsi_password=geheim":               "iscsi_password=***",
		`rd.iscsi.in.password = "zwei worte"`: "rd.iscsi.in.password =***",
		"RD.ISCSI.PASSWORD=geheim":            "RD.ISCSI.PASSWORD=***",
		"#iscsi_password=geheim":              "#iscsi_password=***",
		"# the password is elsewhere":         "# the password is elsewhere",
		"nodisk.profile=virt":                 "nodisk.profile=virt",
		"":                                    "",
	} {
		if got := withoutPasswords(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// No way to print an image shows a password but the one that prints the file.
func TestConfigWithoutPasswords(t *testing.T) {
	image := cpiotest.Archive(cpiotest.Dir("etc"), cpiotest.Dir("etc/nodisk"),
		cpiotest.Regular(ConfigPath, "iscsi_password=\"geheim wort\"\nip=dhcp\n"))
	other := cpiotest.Archive(cpiotest.Dir("etc"), cpiotest.Dir("etc/nodisk"), cpiotest.Regular(ConfigPath, "iscsi_password=geheim2\nip=dhcp\n"))
	r := readMemory(t, image)
	var out bytes.Buffer
	d, err := Diff(t.Context(), r, readMemory(t, other))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{r.WriteText(&out, true), r.WriteJSON(&out), d.WriteText(&out), d.WriteJSON(&out)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if text := out.String(); strings.Contains(text, "geheim") || strings.Contains(text, "wort") ||
		strings.Count(text, "ip=dhcp") != 2 {
		t.Errorf("%s", text)
	}
	out.Reset()
	if err := r.WriteFile(t.Context(), &out, ConfigPath); err != nil || !strings.Contains(out.String(), "geheim wort") {
		t.Errorf("%s, %v", out.String(), err)
	}
}
