package modload

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfiles(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range Profiles() {
		if seen[p.Name] || p.Name == "" || p.Doc == "" || strings.Contains(p.Doc, "\n") {
			t.Errorf("profile %q: not unique, or without one line of doc", p.Name)
		}
		seen[p.Name] = true
		if _, ok := LookupProfile(p.Name); !ok {
			t.Errorf("LookupProfile(%q) does not find it, or what it contains", p.Name)
		}
		for _, r := range p.Load {
			if r.Stage < StageDrivers || r.Stage > StageNetwork || r.Name == "" {
				t.Errorf("profile %s: request %+v", p.Name, r)
			}
			if !slices.Contains(p.Include, r.Name) && !slices.Contains(p.Maybe, r.Name) {
				t.Errorf("profile %s loads %s and does not put it into the image", p.Name, r.Name)
			}
		}
	}
	for name := range strings.FieldsSeq("virt eth e1000 bond vlan bridge ibft ib mlx4 mlx5 opa en iscsi " +
		"nfs nfs3 nfs4 " +
		"ext4 xfs btrfs squashfs erofs vfat overlay ram") {
		if !seen[name] {
			t.Errorf("no profile %s", name)
		}
	}
	if p, ok := LookupProfile("floppy"); ok {
		t.Errorf("profile floppy: %+v", p)
	}
}

func TestProfileWith(t *testing.T) {
	nfs, _ := LookupProfile("nfs")
	want := []Request{{Name: "nfsv3", Stage: StageStorage}, {Name: "nfsv4", Stage: StageStorage}}
	got := nfs.At(StageStorage)
	slices.SortFunc(got, func(a, b Request) int { return strings.Compare(a.Name, b.Name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nfs (-want +got):\n%s", diff)
	}
	if got := nfs.At(StageFilesystem); got != nil {
		t.Errorf("nfs loads %v with the file systems", got)
	}
	if Stage(0).String() != "Stage(0)" || StageStorage.String() != "storage" {
		t.Error("stages print wrong")
	}
}

func TestSelect(t *testing.T) {
	x := open1(t, map[string]string{
		"dep": "kernel/fs/nls/nls-a.ko:\nkernel/fs/nls/nls_b.ko:\nkernel/fs/fat.ko:\nkernel/fs/vfat.ko: " +
			"kernel/fs/fat.ko\nkernel/x.ko:\n",
		"builtin": "kernel/loop.ko\n",
	})
	mods, err := x.Select(Profile{Include: []string{"vfat", "loop"}, Maybe: []string{"kernel/fs/nls/nls-*", "none",
		"kernel/none/*"}}, "x")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range mods {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"fat", "vfat", "x", "nls_a", "nls_b"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = x.Select(Profile{Include: []string{"vfatt"}}, "kernel/usb/*")
	if err == nil || !strings.Contains(err.Error(), `"vfatt"`) || !strings.Contains(err.Error(), `"kernel/usb/*"`) {
		t.Errorf("not everything that is missing is named: %v", err)
	}
}

// What nothing asks for follows by the softdeps that the image has for it, on
// coldplug, too.
func TestCompanions(t *testing.T) {
	var softdep strings.Builder
	for _, c := range Companions() {
		softdep.WriteString("softdep " + c.Module + " post: " + strings.Join(c.Then, " ") + "\n")
	}
	x := open1(t, map[string]string{
		"dep": "k/ib_core.ko:\nk/ib_ipoib.ko: k/ib_core.ko\nk/mlx4_core.ko:\nk/mlx4_en.ko: k/mlx4_core.ko\n" +
			"k/mlx4_ib.ko: k/ib_core.ko k/mlx4_core.ko\n" +
			"k/mlx5_core.ko:\nk/mlx5_ib.ko: k/ib_core.ko k/mlx5_core.ko\nk/rdmavt.ko: k/ib_core.ko\n" +
			"k/hfi1.ko: k/rdmavt.ko k/ib_core.ko\nk/ib_qib.ko: k/rdmavt.ko k/ib_core.ko\nk/ib_mthca.ko: k/ib_core.ko\n",
		"alias":   "alias pci:v000015B3d00001003* mlx4_core\nalias pci:v00008086d000024F0* hfi1\n",
		"softdep": softdep.String(),
	})
	for name, want := range map[string][]string{
		"pci:v000015B3d00001003sv0": {"mlx4_core", "mlx4_en", "ib_core", "mlx4_ib", "ib_ipoib"},
		"mlx5_core":                 {"mlx5_core", "ib_core", "mlx5_ib", "ib_ipoib"},
		"pci:v00008086d000024F0sv0": {"ib_core", "rdmavt", "hfi1", "ib_ipoib"},
		"ib_qib":                    {"ib_core", "rdmavt", "ib_qib", "ib_ipoib"},
		"ib_mthca":                  {"ib_core", "ib_mthca", "ib_ipoib"},
		"mlx4_ib":                   {"mlx4_core", "mlx4_en", "ib_core", "mlx4_ib", "ib_ipoib"},
	} {
		mods, err := x.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range mods {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRetired(t *testing.T) {
	for name, want := range map[string]bool{"ib_addr": true, "ib-sa": true, "ipoib_helper": true, "ib_core": false,
		"": false} {
		if Retired(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
