package modload

import (
	"errors"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A rehearsal loads in the order of Resolve, with parameters, and heeds the
// blacklist and what load refuses.
func TestRehearse(t *testing.T) {
	x, err := Open(rehearsalFiles(), "6.1")
	if err != nil {
		t.Fatal(err)
	}
	params, blacklist := ParseParams(cmdline.Parse("net.speed=9 modprobe.blacklist=other"))
	var loaded []string
	l := Rehearse(x, LoaderConfig{Params: params, Blacklist: blacklist}, "", func(at, params string) error {
		name := strings.TrimSuffix(path.Base(at), ".ko")
		if name == "broken" {
			return errors.New("it is broken")
		}
		loaded = append(loaded, strings.TrimSpace(name+" "+params))
		return nil
	}, nil)
	ctx := t.Context()
	if err := l.Serve(ctx, []string{"pci:net", "pci:disk", "pci:nobody"}, Network); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"bus", "net speed=9"}, loaded); diff != "" {
		t.Errorf("for network devices (-want +got):\n%s", diff)
	}
	if err := l.Serve(ctx, []string{"pci:net", "pci:disk"}, nil); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"bus", "net speed=9", "disk"}, loaded); diff != "" {
		t.Errorf("for all (-want +got):\n%s", diff)
	}
	if err := l.Load(ctx, "loop", "needy"); err == nil || !strings.Contains(err.Error(), "it is broken") ||
		!strings.Contains(err.Error(), "needy needs broken") {
		t.Errorf("what is refused: %v", err)
	}
	if err := l.Load(ctx, "nothing"); err == nil || !strings.Contains(err.Error(), `find module "nothing"`) {
		t.Errorf("what is missing: %v", err)
	}
}

func rehearsalFiles() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"modules.dep": "kernel/drivers/net/net.ko: kernel/drivers/virtio/bus.ko\nkernel/drivers/virtio/bus.ko:\n" +
			"kernel/drivers/ata/disk.ko: kernel/drivers/virtio/bus.ko\n" +
			"kernel/drivers/ata/other.ko:\nkernel/fs/broken.ko:\nkernel/fs/needy.ko: kernel/fs/broken.ko\n",
		"modules.alias":   "alias pci:net net\nalias pci:disk disk\nalias pci:disk other\n",
		"modules.builtin": "kernel/drivers/block/loop.ko\n",
	} {
		files["lib/modules/6.1/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}
