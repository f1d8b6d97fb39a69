package modload

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

// distributionKernels are indexes of the kernels in testdata/kernels.txt by release:
// what they have as modules and built in, without what modules need.
func distributionKernels(t *testing.T) map[string]*Index {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "kernels.txt"))
	if err != nil {
		t.Fatal(err)
	}
	releases := make(map[rune]string)
	deps, builtin := make(map[rune]*strings.Builder), make(map[rune]*strings.Builder)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[0] == "#" && len(words[1]) == 1:
			letter := rune(words[1][0])
			releases[letter], deps[letter], builtin[letter] = words[2], &strings.Builder{}, &strings.Builder{}
		case len(words) == 2 && words[0] != "#":
			for _, letter := range words[1] {
				if unicode.IsUpper(letter) {
					builtin[unicode.ToLower(letter)].WriteString("kernel/" + words[0] + ".ko\n")
				} else {
					deps[letter].WriteString("kernel/" + words[0] + ".ko:\n")
				}
			}
		}
	}
	kernels := make(map[string]*Index)
	for letter, release := range releases {
		dir := "lib/modules/" + release + "/"
		x, err := Open(fstest.MapFS{
			dir + "modules.dep":     {Data: []byte(deps[letter].String())},
			dir + "modules.builtin": {Data: []byte(builtin[letter].String())},
		}, release)
		if err != nil {
			t.Fatal(err)
		}
		kernels[release] = x
	}
	if len(kernels) != 8 {
		t.Fatalf("kernels %v", slices.Collect(maps.Keys(kernels)))
	}
	return kernels
}

// Every profile is good for every kernel that a distribution has, but for those named here.
func TestProfilesOfKernels(t *testing.T) {
	lacks := map[string]string{ // "RELEASE PROFILE": a part of the error
		"6.1.0-56-cloud-amd64 e1000": "Linux 6.1.0-56-cloud-amd64 has no driver for Intel PRO/1000 alone " +
			"(e1000, e1000e), which emulators offer too, neither as a module nor built in: it lacks e1000, e1000e; " +
			"take another kernel",
		"6.1.0-56-arm64 opa": "Linux 6.1.0-56-arm64 has no driver for Omni-Path adapters (hfi1, on " +
			"amd64 only) and IP over them, neither as a module nor built in: it lacks hfi1; take another kernel",
		"6.1.0-56-cloud-amd64 opa":         "it lacks hfi1;",
		"6.12.101+deb12-cloud-amd64 opa":   "it lacks hfi1;",
		"6.1.0-56-cloud-amd64 ib":          `find module "ib_ipoib"`,
		"6.12.101+deb12-cloud-amd64 e1000": "it lacks e1000, e1000e;",
		"6.12.101+deb12-cloud-amd64 ib":    `find module "ib_ipoib"`,
	}
	for release, x := range distributionKernels(t) {
		for _, p := range Profiles() {
			joined, _ := LookupProfile(p.Name)
			_, err := x.Select(joined)
			key := release + " " + p.Name
			switch want, bad := lacks[key]; {
			case bad && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s: %v, want %q", key, err, want)
			case !bad && err != nil:
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}

// What clouds have is in the image for the cloud kernel.
func TestEthernetOfCloud(t *testing.T) {
	eth, _ := LookupProfile("eth")
	mods, err := distributionKernels(t)["6.1.0-56-cloud-amd64"].Select(eth)
	if err != nil {
		t.Fatal(err)
	}
	has := make(map[string]bool)
	for _, m := range mods {
		has[m.Name] = true
	}
	for name := range strings.FieldsSeq("virtio_net ena gve mana mlx5_core ixgbevf hv_netvsc xen_netfront") {
		if !has[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// A profile whose kernel has no driver for it says so, and for what.
func TestProfileWithoutDrivers(t *testing.T) {
	x := open1(t, map[string]string{"dep": "kernel/net/packet/af_packet.ko:\nkernel/drivers/net/phy/realtek.ko:\n",
		"builtin": "kernel/loop.ko\n"})
	eth, _ := LookupProfile("eth")
	_, err := x.Select(eth)
	if err == nil || !strings.Contains(err.Error(), "has no driver for Ethernet adapters of servers, "+
		"desktops and clouds") ||
		!strings.Contains(err.Error(), "it lacks virtio_net") ||
		!strings.Contains(err.Error(), " more; take another kernel") {
		t.Errorf("eth: %v", err)
	}
	builtin := open1(t, map[string]string{"dep": "kernel/x.ko:\n", "builtin": "kernel/drivers/net/tg3.ko\n"})
	if _, err := builtin.Select(eth); err != nil {
		t.Errorf("an adapter that is built in: %v", err)
	}
}

// Profile ib has the driver of True Scale where the kernel has it, and is good without.
func TestTrueScale(t *testing.T) {
	ib, _ := LookupProfile("ib")
	for release, want := range map[string]bool{"6.1.0-56-amd64": true, "6.1.0-56-arm64": false,
		"7.2.11+deb13-amd64": false} {
		mods, err := distributionKernels(t)[release].Select(ib)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(mods, func(m Module) bool { return m.Name == "ib_qib" }); got != want {
			t.Errorf("%s: ib_qib %v, want %v", release, got, want)
		}
	}
}
