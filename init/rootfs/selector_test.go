package rootfs

import (
	"strings"
	"testing"
)

func TestParseSelector(t *testing.T) {
	for in, want := range map[string]Selector{
		"LABEL=root":                            {ByLabel, "root"},
		`LABEL="my root"`:                       {ByLabel, "my root"},
		`LABEL='my root'`:                       {ByLabel, "my root"},
		`LABEL=my\x20root\x2f`:                  {ByLabel, "my root/"},
		"LABEL=a=b":                             {ByLabel, "a=b"},
		"UUID=1A2B-3C4D":                        {ByUUID, "1A2B-3C4D"},
		"PARTUUID=1a2b3c4d-01":                  {ByPartUUID, "1a2b3c4d-01"},
		"PARTLABEL=root":                        {ByPartLabel, "root"},
		"/dev/sda1":                             {ByName, "sda1"},
		"/dev/nvme0n1p2":                        {ByName, "nvme0n1p2"},
		"/dev/mmcblk0":                          {ByName, "mmcblk0"},
		`/dev/disk/by-label/my\x20root`:         {ByLabel, "my root"},
		"/dev/disk/by-uuid/" + testUUID:         {ByUUID, testUUID},
		"/dev/disk/by-partuuid/1a2b3c4d-01":     {ByPartUUID, "1a2b3c4d-01"},
		"/dev/disk/by-partlabel/EFI\\x20system": {ByPartLabel, "EFI system"},
	} {
		got, err := parseSelector(in)
		if err != nil || got != want {
			t.Errorf("parseSelector(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestParseSelectorRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "is not LABEL=",
		"label=root":                            "is not LABEL=",
		"root":                                  "is not LABEL=",
		"LABEL=":                                "no value",
		`LABEL=""`:                              "no value",
		`LABEL=\x2`:                             "two hexadecimal digits",
		`LABEL=\x00`:                            "other than 00",
		`LABEL=\040`:                            "backslash",
		"/dev/":                                 "no name",
		"/dev/mapper/vg-root":                   "device-mapper",
		"/dev/dm-0":                             "device-mapper",
		"/dev/md0":                              "software RAID",
		"/dev/vg/root":                          "LVM",
		"/dev/disk/by-id/x":                     "there is no udev",
		"/dev/disk/by-LABEL/x":                  "there is no udev",
		"/dev/..":                               "kernel's name",
		"PARTUUID=" + testUUID + "/PARTNROFF=1": "PARTNROFF",
	} {
		got, err := parseSelector(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseSelector(%q) = %+v, %v, want an error with %q", in, got, err, want)
		}
	}
}

// What a selector prints it also reads.
func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{"LABEL=root", `LABEL="a b"`, `LABEL=a\x20b`, "/dev/sda", "/dev/disk/by-uuid/x", "UUID=", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseSelector(s)
		if err != nil {
			return
		}
		if got.Value == "" || got.By == 0 {
			t.Errorf("%q: %+v", s, got)
		}
		if strings.ContainsAny(got.Value, "\\\"' \t") {
			return // String is for reading, not for escaping
		}
		again, err := parseSelector(got.String())
		if err != nil || again != got {
			t.Errorf("%q prints %q and reads %+v, %v", s, got, again, err)
		}
	})
}
