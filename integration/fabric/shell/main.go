// Command shell starts the lab's InfiniBand fabric and passes lines from
// standard input to a shell on its server: for trying a server on IPoIB by
// hand.
//
//	go run ./integration/fabric/shell -program /usr/sbin/dhcpd -file dhcpd.conf:/etc/dhcpd.conf
//
// The server has the interface ib0 with 10.77.0.1/24, one child interface for
// every key in -pkeys, and the shell functions of integration/server/services:
// start_dnsmasq, start_tgtd, start_nfs, start_opensm, "daemon NAME PROGRAM ...".
// What runs in the background writes to the server's console, which is shown.
//
// With -image, a node is booted after the last line, and what the server logged
// meanwhile is seen beside the node's console:
//
//	printf '%s\n' start_nfs 'daemon dhcpd dhcpd -4 -d -cf /etc/dhcpd.conf ib0' |
//	go run ./integration/fabric/shell -program /usr/sbin/dhcpd -file dhcpd.conf:/etc/dhcpd.conf \
//		-image nodisk.img -append 'ip=ib0:dhcp root=nfs4:{server}:{export}'
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/nodisk/nodisk/integration/fabric"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if outside, ok := errors.AsType[*lab.Outside](err); ok {
			os.Exit(outside.Status) //nolint:forbidigo // it has run in namespaces
		}
		fmt.Fprintln(os.Stderr, "shell:", err)
		os.Exit(1) //nolint:forbidigo // the one place where the command ends
	}
}

// options are the command's flags.
type options struct {
	spec    fabric.Spec
	node    fabric.Boot // none without an image
	verbose bool
}

func parse(args []string) (options, error) {
	o := options{spec: fabric.Spec{Files: map[string]string{}}}
	flags := flag.NewFlagSet("shell", flag.ContinueOnError)
	flags.StringVar(&o.spec.KernelDir, "kernel", ".cache/kernel", "directory with vmlinuz and lib/modules/RELEASE")
	flags.StringVar(&o.spec.HCA, "softib", ".cache/softib/softib.ko", "the software HCA, made by make softib")
	flags.BoolVar(&o.spec.SubnetManager, "sm", false, "leave the ports to a subnet manager (start_opensm)")
	flags.BoolVar(&o.spec.RDMA, "rdma", false, "HCAs with reliable connections, for NFS over RDMA (start_nfs, "+
		"start_nfs_rdma)")
	flags.StringVar(&o.spec.Log, "log", "/dev/stderr", "where the server's console goes")
	flags.Func("pkey", "a P_Key of the server's besides 0xffff (repeats)", func(s string) error {
		key, err := strconv.ParseUint(s, 0, 16)
		o.spec.PKeys = append(o.spec.PKeys, uint16(key))
		return err
	})
	flags.Func("program", "a program of this machine for the server, with its libraries (repeats)",
		func(s string) error {
			path, err := filepath.Abs(s)
			o.spec.Programs = append(o.spec.Programs, path)
			return err
		})
	flags.Func("file", "FROM:TO, a file for the server (repeats)", func(s string) error {
		from, to, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want FROM:TO")
		}
		text, err := os.ReadFile(from)
		o.spec.Files[to] = string(text)
		return err
	})
	flags.StringVar(&o.node.Image, "image", "", "boot a node with this initramfs after the last line; it must hold "+
		"softib (nodisk build --module-dir)")
	flags.StringVar(&o.node.Cmdline, "append", "", "the node's command line, with placeholders such as {server} "+
		"{client} {guid} {export}")
	flags.BoolVar(&o.verbose, "v", false, "tell what the lab does")
	return o, flags.Parse(args)
}

func run(args []string, in io.Reader, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := lab.Enter(ctx); err != nil {
		return err
	}
	conf := lab.Config{}
	if o.verbose {
		conf.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	lab, err := lab.New(ctx, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	f, err := fabric.New(ctx, lab, o.spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		said, err := f.Run(ctx, lines.Text())
		if _, werr := io.WriteString(out, said); werr != nil {
			return werr
		}
		if err != nil {
			// The next line may do better.
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := lines.Err(); err != nil || o.node.Image == "" {
		return err
	}
	return boot(ctx, f, o, out)
}

func boot(ctx context.Context, f *fabric.Fabric, o options, out io.Writer) error {
	b := o.node
	b.Kernel, b.Console = filepath.Join(o.spec.KernelDir, "vmlinuz"), transcript.Plain(out)
	// The command line says it all, and the server is whoever was started by
	// hand: no root and no reservation are made.
	b.Root, b.Static, b.RDMA = lab.RootNone, true, o.spec.RDMA
	res, err := f.Boot(ctx, b)
	if err != nil {
		return err
	}
	if !res.Reached {
		return fmt.Errorf("the node did not reach its root: %s (%s)", res.Why, res.End)
	}
	return nil
}
