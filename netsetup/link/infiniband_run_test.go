package link

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPort(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("net/ib0/dev_port", "1\n")
	write("net/ib0/device/infiniband/mlx4_0/node_desc", "x")
	write("net/eth0/dev_port", "0\n")
	if hca, number := infiniBandPort(filepath.Join(dir, "net"), "ib0"); hca != "mlx4_0" || number != 2 {
		t.Errorf("%s port %d", hca, number)
	}
	if hca, number := infiniBandPort(filepath.Join(dir, "net"), "eth0"); hca != "" || number != 0 {
		t.Errorf("%s port %d", hca, number)
	}
	write("1/phys_state", "5: LinkUp\n")
	write("1/state", "2: INIT\n")
	write("1/gids/0", "fe80:0000:0000:0000:0002:c903:0000:1039\n")
	for i, key := range []string{"0xffff\n", "0x8001\n", "0x0000\n", "0x8001\n", "rubbish"} {
		write("1/pkeys/"+string(rune('0'+i)), key)
	}
	p, err := readPort(filepath.Join(dir, "1"))
	want := PortState{Phys: "LinkUp", State: "INIT", PKeys: []uint16{0xffff, 0x8001}, GID: guideAddr[4:]}
	if diff := cmp.Diff(want, p); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := readPort(filepath.Join(dir, "2")); err == nil {
		t.Error("a port that is not there has a state")
	}
}
