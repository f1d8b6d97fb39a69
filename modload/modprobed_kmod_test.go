package modload

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// confs are directories of modprobe.d, each one a case.
func confs() map[string]map[string]string {
	return map[string]map[string]string{
		"options": {
			"b.conf": "options e1000  debug=1 \\\n  copybreak=\"1 2\"\noptions e1000 TxDescriptors=80\n" +
				"options crc32c-intel x",
			"a.conf": "# options e1000 first=0 \\\noptions e1000 hidden=1\n\toptions e1000 debug=0\noptions e1000\n" +
				"options bonding max_bonds=0 mode=802.3ad\n",
		},
		"aliases": {
			"a.conf": "alias net-pf-10 off\nalias e1000e e1000\nalias eth? e1000\nalias eth? igb\n" +
				"alias pci:v00008086d0000100E* igb\nalias first second\nalias second e1000",
		},
		"softdeps": {
			"a.conf": "softdep btrfs pre: dummy\nsoftdep e1000 pre: dummy nothing post: ifb\nsoftdep e1000 pre: igb\n" +
				"softdep nf[sx]* pre: crypto-sha256",
			"zz.conf": "softdep ext4 pre: dummy\nsoftdep virtio_net post: dummy veth\nsoftdep veth pre: e1000",
		},
		"circle": {"a.conf": "softdep dummy pre: ifb\nsoftdep ifb pre: veth post: dummy\n" +
			"softdep veth post: dummy ifb\n"},
		"blacklist": {"a.conf": "blacklist e1000\nblacklist virtio-net # a comment\n blacklist nothing\n",
			"b.conf": "alias mynet e1000\nblacklist e1000"},
		"debian": {
			"fbdev-blacklist.conf": "# old drivers\n\nblacklist arkfb\nblacklist viafb\n",
			"alsa-base.conf": "# autoloader aliases\nalias sound-slot-0 snd-card-0\nsoftdep snd-pcm post: " +
				"snd-seq\noptions snd-pcsp index=-2\n",
			"dkms": "options hidden x=1\n", "mlx4.conf": "softdep mlx4_en pre: mlx4_core\n" +
				"options mlx4_core port_type_array=1,2\n",
		},
	}
}

// modprobeConf runs modprobe with a directory as its only configuration.
func modprobeConf(t *testing.T, dir, root, release string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("modprobe")
	if err != nil {
		path = "/sbin/modprobe"
	}
	out, err := exec.CommandContext(t.Context(), path, append([]string{"-C", dir, "-d", root, "-S", release},
		args...)...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return nil // nothing of that name
	}
	if err != nil {
		t.Fatalf("modprobe %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// With every configuration, modules are loaded in the order and with the
// parameters of modprobe.
func TestConfAsModprobe(t *testing.T) {
	haveModprobe(t)
	root, release := kernelTree(t)
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	x, err := Open(oneSoftdep{os.DirFS(root)}, release)
	if err != nil {
		t.Fatal(err)
	}
	asked := []string{
		"e1000", "e1000e", "eth0", "net-pf-10", "first", "second", "mynet", "bonding", "btrfs", "ext4", "nfsv4", "nfsd",
		"xfs", "virtio_net", "veth",
		"dummy", "ifb", "mlx4_en", "snd_pcm", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
		"virtio:d00000001v00001AF4", "crc32c_intel", "libcrc32c",
	}
	for name, files := range confs() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var list []ConfFile
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if IsConf(file) {
					list = append(list, ConfFile{file, text})
				}
			}
			c := ParseConf(list)
			loads := 0
			for _, ask := range asked {
				var got []string
				p := x.With(c).schedule([]string{ask}, func(module string, byAlias bool) bool {
					_, denied := c.Blacklist.Find(module, byAlias)
					return denied
				}, "")
				for _, m := range p.mods {
					got = append(got, strings.TrimSpace(m.Name+" "+c.Params.For(m.Name)))
				}
				var want []string
				for _, line := range modprobeConf(t, dir, root, release, "--show-depends", ask) {
					file, options, _ := strings.Cut(strings.TrimPrefix(line, "insmod "), " ")
					if name := nameOf(file); name != "" && !strings.HasPrefix(line, "builtin ") {
						line = strings.TrimSpace(name + " " + respell(options))
						if !slices.Contains(want, line) { // a second time says nothing
							want = append(want, line)
						}
					}
				}
				loads += len(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-modprobe +nodisk):\n%s", ask, diff)
				}
			}
			if loads < len(asked) {
				t.Errorf("only %d modules compared", loads)
			}
			compareConf(t, c, modprobeConf(t, dir, root, release, "-c"))
		})
	}
}

// respell takes out white space that says nothing.
func respell(options string) string {
	var words []string
	for _, a := range cmdline.Parse(options) {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// compareConf holds a configuration against what modprobe -c prints of it.
func compareConf(t *testing.T, c Conf, shown []string) {
	t.Helper()
	var got, want []string
	for _, l := range c.Lines {
		if l.Words[0] == "alias" {
			got = append(got, "alias "+l.Words[1]+" "+normal(l.Words[2]))
		}
	}
	for _, b := range c.Blacklist {
		got = append(got, "blacklist "+b.Module)
	}
	for _, p := range c.Params {
		got = append(got, "options "+p.Module+" "+p.Arg.String())
	}
	have := make(map[string]bool)
	for _, line := range got {
		have[strings.ReplaceAll(line, "-", "_")] = true
	}
	for _, line := range shown {
		if strings.HasPrefix(line, "#") {
			break // indexes follow
		}
		words := strings.SplitN(line, " ", 3)
		switch words[0] {
		case "alias", "blacklist":
			want = append(want, line)
		case "options":
			for _, a := range cmdline.Parse(words[2]) {
				want = append(want, "options "+words[1]+" "+a.String())
			}
		}
	}
	known := 0
	for _, line := range want {
		if have[strings.ReplaceAll(line, "-", "_")] {
			known++
		}
	}
	// modprobe reads the command line of the machine that tests, too: what it
	// shows besides is not a fault.
	if unique := len(have); known < unique {
		t.Errorf("modprobe -c shows %d of %d lines:\n%s\nwant\n%s", known, unique, strings.Join(want, "\n"),
			strings.Join(got, "\n"))
	}
}
