package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// export serves the root of a node by NFS versions 3 and 4 (4.0 to 4.2), read and
// write, and returns its path, which is the same for both. A lab has one such root: the
// server is started once.
func (l *Lab) export(ctx context.Context, s BootSpec) (string, error) {
	served := s.Export + s.Tree
	l.once.nfs.Do(func() {
		l.nfs.root = served
		var dir string
		if dir, l.nfs.err = l.exported(s); l.nfs.err == nil {
			l.nfs.path = exportPath(dir)
			l.nfs.err = l.startNFS(ctx, dir, l.nfs.path)
		}
	})
	if l.nfs.err == nil && l.nfs.root != served {
		return "", fmt.Errorf("export %s: the lab's NFS server exports %q already", served, l.nfs.root)
	}
	return l.nfs.path, l.nfs.err
}

// exportPath is by what path a directory is exported: its own, unless a command line cannot
// have that.
func exportPath(dir string) string {
	if regexp.MustCompile(`^[\w/.+-]+$`).MatchString(dir) {
		return dir
	}
	return "/export"
}

func (l *Lab) startNFS(ctx context.Context, dir, path string) error {
	l.Log().Info("start rpcbind and nfs-ganesha", "export", dir)
	l.once.rpcbind.Do(func() { l.rpcbindErr = l.startRpcbind(ctx) })
	if l.rpcbindErr != nil {
		return l.rpcbindErr
	}
	if strings.ContainsAny(dir, "\"\n") {
		return fmt.Errorf("start NFS server: a path with a quote or a line feed cannot be exported: %q", dir)
	}
	conf := l.Path("ganesha.conf")
	if err := writeFile(conf, ganeshaConf(dir, path, "", "")); err != nil {
		return err
	}
	var err error
	l.ganesha, err = l.Start(tool.Ganesha(), nil, "-F", "-L", "/dev/stdout", "-f", conf, "-p", "/run/ganesha/pid")
	if err != nil {
		return err
	}
	// By then it has registered with rpcbind and listens.
	return l.ganesha.Ready(ctx, regexp.MustCompile(`NFS SERVER INITIALIZED`))
}

// startRpcbind starts the portmapper, and makes what an NFS server needs besides.
func (l *Lab) startRpcbind(ctx context.Context) error {
	if !rootOutside() {
		return errors.New("start NFS server: nfs-ganesha opens files by handle, which only root may: run as root " +
			"(sudo), or take --root iscsi")
	}
	if _, err := tool.VFS().Find(); err != nil {
		return fmt.Errorf("start NFS server: %w", err)
	}
	for _, d := range []string{"/run/ganesha", "/run/rpcbind", "/var/lib/nfs/ganesha"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("start NFS server: %w", err)
		}
	}
	var err error
	// -w would read the registrations of an earlier run.
	if l.rpcbind, err = l.Start(tool.Rpcbind(), nil, "-f"); err != nil {
		return err
	}
	err = tool.Poll(ctx, "rpcbind on port 111", func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp4", "127.0.0.1:111")
		if err != nil {
			return fmt.Errorf("connect to rpcbind: %w", err)
		}
		return c.Close()
	})
	if err != nil {
		return fmt.Errorf("%w; it said:\n%s", err, transcript.Tail(l.rpcbind.Out.String(), 10))
	}
	return nil
}

// GaneshaAt serves a directory by a server of its own, at ports of its own.
func (l *Lab) GaneshaAt(ctx context.Context, name, dir, port, mountPort string) (*tool.Process, error) {
	// One at a time: two that register with the portmapper at once refuse to start.
	l.registering.Lock()
	defer l.registering.Unlock()
	l.once.rpcbind.Do(func() { l.rpcbindErr = l.startRpcbind(ctx) })
	if l.rpcbindErr != nil {
		return nil, l.rpcbindErr
	}
	records := l.Path(name + ".nfs")
	if err := os.MkdirAll(records, 0o755); err != nil {
		return nil, fmt.Errorf("start NFS server: %w", err)
	}
	conf := filepath.Join(records, "conf")
	more := "NFS_Port = " + port + "; MNT_Port = " + mountPort + ";"
	if err := writeFile(conf, ganeshaConf(dir, dir, more, "RecoveryRoot = "+records+";")); err != nil {
		return nil, err
	}
	p, err := l.Start(tool.Ganesha(), nil, "-F", "-L", "/dev/stdout", "-f", conf, "-p", filepath.Join(records, "pid"))
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, regexp.MustCompile(`NFS SERVER INITIALIZED`)); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// ganeshaConf is the configuration of a server that exports a directory by a path, which is
// that of NFS version 3 too (Mount_Path_Pseudo). Further words are for its core and for NFS
// version 4.
//
// Graceless: a new client waits for no grace period. Names are numbers: there
// is no idmapd in the lab.
func ganeshaConf(dir, path, core, four string) string {
	return `NFS_CORE_PARAM { Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = true; Mount_Path_Pseudo = true; ` + core + ` }
NFS_KRB5 { Active_krb5 = false; }
NFSv4 { Graceless = true; Minor_Versions = 0, 1, 2; RecoveryBackend = fs; Only_Numeric_Owners = true; ` + four + ` }
EXPORT_DEFAULTS { SecType = sys; Squash = none; Access_Type = RW; Transports = TCP, UDP; }
EXPORT { Export_Id = 1; Path = "` + dir + `"; Pseudo = "` + path + `"; Protocols = 3, 4; FSAL { Name = VFS; } }
LOG { Default_Log_Level = EVENT; }
`
}
