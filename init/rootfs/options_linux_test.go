package rootfs

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseMountOptions(t *testing.T) {
	for _, tt := range []struct {
		text     string
		readOnly bool
		want     MountOptions
	}{
		{"", true, MountOptions{Flags: unix.MS_RDONLY}},
		{"", false, MountOptions{}},
		{"rw", true, MountOptions{}},
		{"rw,ro", false, MountOptions{Flags: unix.MS_RDONLY}},
		{"noatime,nodev,discard,data=ordered", false, MountOptions{Flags: unix.MS_NOATIME | unix.MS_NODEV, Data: "discard,data=ordered"}},
		{"noatime,relatime", false, MountOptions{Flags: unix.MS_RELATIME}},
		{"nosuid,suid,defaults,_netdev,x-systemd.automount,,subvol=/@", false, MountOptions{Data: "subvol=/@"}},
		{`context="a:b:c:s0,c1",sync`, false, MountOptions{Flags: unix.MS_SYNCHRONOUS, Data: `context="a:b:c:s0,c1"`}},
	} {
		got, err := ParseMountOptions(tt.text, tt.readOnly)
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
	for _, bad := range []string{"bind", "ro,remount", strings.Repeat("x", 5000), "a\x00b"} {
		if got, err := ParseMountOptions(bad, false); err == nil {
			t.Errorf("%.20q: %+v, want an error", bad, got)
		}
	}
}

func FuzzParseMountOptions(f *testing.F) {
	f.Add("noatime,ro,x=y")
	f.Add(`a="b,c",`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseMountOptions(text, false)
		if err != nil {
			return
		}
		again, err := ParseMountOptions(o.Data, false)
		if err != nil || again.Flags != 0 || again.Data != o.Data {
			t.Errorf("%q leaves %q, which reads as %+v, %v", text, o.Data, again, err)
		}
	})
}

func TestAbout(t *testing.T) {
	lines := []string{"EXT4-fs (sda1): one", "XFS (sdb): two", "EXT4-fs (sda1): three ", "EXT4-fs (sda1): four"}
	if got := about(lines, "(sda1)", ""); got != "EXT4-fs (sda1): three; EXT4-fs (sda1): four" {
		t.Errorf("%q", got)
	}
}
