package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nodisk/nodisk/integration/tool"
)

// DHCP starts the network's dnsmasq: one reserved address for the node's first
// NIC, and TFTP of the directory tftp unless that is empty. It lives as long as the lab.
func (n *Network) DHCP(name, rootPath, tftp string) (*tool.Process, error) {
	var c strings.Builder
	opt := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }
	opt("port=0") // no DNS
	opt("interface=%s", n.Bridge())
	opt("bind-interfaces")
	opt("except-interface=lo")
	opt("log-dhcp")
	opt("no-ping")
	opt("dhcp-leasefile=%s", n.lab.Path(n.Bridge()+".leases"))
	if n.conf != "" {
		opt("conf-file=%s", n.conf)
	} else {
		n.ranges(opt, name, rootPath, tftp)
	}
	conf := n.lab.Path(n.Bridge() + ".dnsmasq")
	if err := writeFile(conf, c.String()); err != nil {
		return nil, err
	}
	// --no-daemon stays in the foreground, logs to standard error and changes no
	// user: in a user namespace there is no other, and setgroups(2) is refused.
	p, err := n.lab.Start(tool.Dnsmasq(), nil, "--no-daemon", "--conf-file="+conf)
	if err != nil {
		return nil, err
	}
	// Logged when the sockets are bound.
	if err := p.Ready(n.lab.ctx, regexp.MustCompile(`dnsmasq.*: started, version`)); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// ranges are the lab's own options: what the network's nodes are told.
func (n *Network) ranges(opt func(format string, args ...any), name, rootPath, tftp string) {
	opt("dhcp-authoritative")
	opt("dhcp-range=%s,%s,255.255.255.0,1h", n.Host(100), n.Host(199))
	opt("dhcp-host=%s,%s,%s", n.mac(0), n.Client(), name)
	opt("domain=lab.nodisk.test")
	opt("dhcp-option=option:router,%s", n.Server())
	opt("dhcp-option=option:dns-server,%s", n.Server())
	opt("dhcp-option=option:ntp-server,%s", n.Server())
	if rootPath != "" {
		// Not for iPXE (it sends option 175): it would attach the disk itself
		// before it loads pxelinux.
		opt("dhcp-match=set:ipxe,175")
		opt(`dhcp-option=tag:!ipxe,17,"%s"`, rootPath)
	}
	if tftp != "" {
		opt("enable-tftp")
		opt("tftp-root=%s", tftp)
		opt("dhcp-boot=pxelinux.0")
	}
}

// Host is the address of the network that ends in last.
func (n *Network) Host(last byte) string {
	return fmt.Sprintf("10.77.%d.%d", n.Number, last)
}

// TFTP makes the directory that pxelinux boots from: the loader, the kernel, the
// image, and a configuration for the MAC address of the node's first NIC, or
// what the specification has in its place.
func (n *Network) TFTP(s BootSpec, cmdline string, values map[string]string) (dir string, err error) {
	dir = n.lab.Path(n.Bridge() + ".tftp")
	if err := os.MkdirAll(filepath.Join(dir, "pxelinux.cfg"), 0o755); err != nil {
		return "", fmt.Errorf("make TFTP directory: %w", err)
	}
	files := map[string]string{"vmlinuz": s.Kernel, "image": s.Image}
	for _, t := range []tool.Tool{tool.PXELinux(), tool.Ldlinux()} {
		path, err := t.Find()
		if err != nil {
			return "", fmt.Errorf("make TFTP directory: %w", err)
		}
		files[t.Name] = path
	}
	for name, from := range files {
		abs, err := filepath.Abs(from)
		if err != nil {
			return "", fmt.Errorf("make TFTP directory: %w", err)
		}
		if err := os.Symlink(abs, filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("make TFTP directory: %w", err)
		}
	}
	if s.TFTP != nil {
		if n.conf, err = s.TFTP(dir, values); err != nil {
			err = fmt.Errorf("make TFTP directory: %w", err)
		}
		return dir, err
	}
	// pxelinux asks for the ARP type and the address, with dashes.
	mac := "01-" + strings.ReplaceAll(n.mac(0), ":", "-")
	// No SERIAL line, which a real machine wants: the lab's firmware already
	// copies the screen to the serial port, and every letter would come twice.
	text := "DEFAULT nodisk\nPROMPT 0\nLABEL nodisk\n  KERNEL vmlinuz\n  INITRD image\n  APPEND " + cmdline + "\n"
	return dir, writeFile(filepath.Join(dir, "pxelinux.cfg", mac), text)
}
