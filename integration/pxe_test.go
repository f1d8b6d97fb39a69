package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// A pxeCase is a node that boots from what "nodisk pxe" wrote, dnsmasq's
// configuration included.
type pxeCase struct {
	name  string
	nodes string // nodes.yaml, with the placeholders of the lab
	grub  bool   // the directory has GRUB, grub/i386-pc/core.0
	// asked are regular expressions of file names below the TFTP directory, which
	// the node asks for in this order; a "-" in front: and which is not there.
	asked   []string
	console []string
	address string // of the node, a regular expression
}

func toolMknetdir() tool.Tool { return tool.Program("grub-mknetdir", "grub-common") }

func toolGRUB() tool.Tool {
	return tool.File("GRUB for PXE", "grub-pc-bin", "/usr/lib/grub/i386-pc/pxe.mod")
}

// The lab's node is 10.77.N.23 to its own dnsmasq: these addresses show that it
// is not that one which serves.
func TestBootPXEFiles(t *testing.T) {
	t.Parallel()
	const head = `
defaults:
  server: {server}
  image: image
  cmdline: console=ttyS0,115200 panic=-1 root=iscsi:{server}::3260:1:{target}
`
	subnet := func(pool string) string {
		return "subnets:\n- cidr: {server}/24\n  gateway: {server}\n" + pool
	}
	bootPXE(t, []pxeCase{
		{
			// Nobody has written this node down: it has an address of the pool,
			// and pxelinux finds the subnet's file by six digits of it.
			name: "hexadecimal-prefix", nodes: head + subnet("  range: {pool}\n"),
			asked: []string{
				`pxelinux\.0`, `-pxelinux\.cfg/01-52-54-00-77-\w\w-01`, `-pxelinux\.cfg/0A4D..6.`,
				`-pxelinux\.cfg/0A4D..6`, `pxelinux\.cfg/0A4D..`, `vmlinuz`, `image`,
			},
			console: []string{`PXELINUX`, `nodisk: network .* by DHCP from 10\.77\.\d+\.1`, mounted},
			address: `^10\.77\.\d+\.1[0-9][0-9]/24$`,
		},
		{
			// One that is written down, by the reservation and by iPXE's script.
			name: "ipxe-node", nodes: head + "  loader: { ipxe: boot.ipxe }\n" + subnet("") +
				"nodes:\n- { name: ipxe-node, mac: '{mac}', ip: {fixed} }\n",
			asked: []string{`boot\.ipxe`, `ipxe/ipxe-node\.ipxe`, `vmlinuz`, `image`},
			console: []string{
				`iPXE`, `Command line: .*BOOTIF=01-52-54-00-77-..-01`,
				`nodisk: network .* by DHCP from 10\.77\.\d+\.1`, mounted,
			},
			address: `^10\.77\.\d+\.77/24$`,
		},
		{
			// By GRUB, and digits of the address.
			name: "grub-prefix", nodes: head + "  loader: { bios: grub/i386-pc/core.0 }\n" +
				subnet("  range: {pool}\n"), grub: true,
			asked: []string{
				`grub/i386-pc/core\.0`, `-grub/grub\.cfg-01-52-54-00-77-\w\w-01`,
				`-grub/grub\.cfg-0A4D..6`, `grub/grub\.cfg-0A4D..`, `vmlinuz`, `image`,
			},
			console: []string{`nodisk: network .* by DHCP from 10\.77\.\d+\.1`, mounted},
			address: `^10\.77\.\d+\.10[0-9]/24$`,
		},
	})
}

// bootPXE boots the cases side by side in one lab.
func bootPXE(t *testing.T, cases []pxeCase) {
	t.Helper()
	s := lab.BootSpec{PXE: true, Root: lab.RootISCSI, Timeout: 4 * time.Minute}
	needs(t, s)
	for _, err := range tool.Missing(toolMknetdir(), toolGRUB()) {
		testenv.Missing(t, err.Error())
	}
	s.Kernel, s.Image = filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, "virt,iscsi,ext4")
	lab := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, busy)
			c.boot(t, lab, s)
		})
	}
}

func (c pxeCase) boot(t *testing.T, lab *lab.Lab, s lab.BootSpec) {
	t.Helper()
	s.Name = c.name
	s.TFTP = func(dir string, values map[string]string) (string, error) {
		return c.write(t, dir, values)
	}
	s.Log = testLogFile(c.name)
	res, err := lab.Boot(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f s on the host", res.Times.Wall.Seconds())
	if !res.Reached || res.Root.Type != "ext4" {
		t.Fatalf("root not reached: %s; %s; served:\n%s\nthe console's end:\n%s",
			res.Why, res.End, transcript.Tail(res.Served, 30), transcript.Tail(res.Console, 40))
	}
	if err := res.Expect(c.console...); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(c.address).MatchString(res.Root.Address) {
		t.Errorf("address %s, want %s", res.Root.Address, c.address)
	}
	log := res.Served
	for _, name := range c.asked {
		line := `dnsmasq-tftp: sent .*\.tftp/` + name + ` to 10\.77\.`
		if missing, ok := strings.CutPrefix(name, "-"); ok {
			line = `dnsmasq-tftp: file .*\.tftp/` + missing + ` not found for 10\.77\.`
		}
		at := regexp.MustCompile(line).FindStringIndex(log)
		if at == nil {
			t.Fatalf("no line like %q there; the server's whole log:\n%s", line, res.Served)
		}
		log = log[at[1]:]
	}
}

// write runs "nodisk pxe", twice: the second time nothing changes.
func (c pxeCase) write(t *testing.T, dir string, values map[string]string) (string, error) {
	t.Helper()
	if c.grub {
		if err := toolMknetdir().Run(t.Context(), "--net-directory="+dir, "--subdir=grub", "-d",
			"/usr/lib/grub/i386-pc"); err != nil {
			return "", err
		}
	}
	// 10.77.N.
	net := strings.TrimSuffix(values["server"], "1")
	text := strings.NewReplacer("{server}/24", net+"0/24", "{server}", values["server"], "{mac}",
		values["mac"], "{target}", values["target"],
		"{pool}", net+"100-"+net+"109", "{fixed}", net+"77").Replace(c.nodes)
	nodes := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.WriteFile(nodes, []byte(text), 0o644); err != nil {
		return "", err
	}
	for _, want := range []string{" 0 removed, 0 unchanged", "0 written, 0 removed, "} {
		out, err := exec.CommandContext(t.Context(), nodisk(t), "pxe", "--nodes", nodes, "--out", dir).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			return "", fmt.Errorf("nodisk pxe: %w; want %q:\n%s", err, want, out)
		}
	}
	return filepath.Join(dir, "dhcp", "dnsmasq.conf"), nil
}
