package rootfs

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A serverFacts is what has been found out about a server before mount(2).
type serverFacts struct {
	server, client netip.Addr
	nfsPort        uint16 // 0: the version's default
	mountPort      uint16 // v3 only; 0: the kernel asks rpcbind
}

// mountData builds the text for mount(2), in the terms of fs/nfs/fs_context.c. The user's options
// come after ours, so that they win; what only user space understands is left out.
func (n NFS) mountData(v NFSVersion, f serverFacts) string {
	words := []string{"vers=" + string(v)}
	add := func(key, value string) {
		if _, ok := n.option(key); !ok {
			words = append(words, key+"="+value)
		}
	}
	add("proto", "tcp")
	words = append(words, "addr="+f.server.String())
	if f.nfsPort != 0 {
		add("port", strconv.Itoa(int(f.nfsPort)))
	}
	if v == NFS3 {
		words = append(words, "mountaddr="+f.server.String())
		add("mountvers", "3")
		add("mountproto", n.mountProto())
		if f.mountPort != 0 {
			add("mountport", strconv.Itoa(int(f.mountPort)))
		}
		// Locks of version 3 need rpc.statd, which does not run in an initramfs: without this
		// option the mount would wait for it.
		if !n.has("lock") && !n.has("nolock") && !n.has("local_lock") {
			words = append(words, "nolock")
		}
	} else if f.client.IsValid() {
		add("clientaddr", f.client.String())
	}
	words = append(words, n.passed(v)...)
	// "Server address does not match proto= option" otherwise.
	for i, w := range words {
		words[i] = familyProto(w, f.server.Is6())
	}
	return strings.Join(words, ",")
}

// passed returns the user's options that the kernel understands.
func (n NFS) passed(v NFSVersion) []string {
	user := []string{"addr", "mountaddr", "mounthost", "retry", "bg", "fg"}
	three := []string{"mountport", "mountproto", "mountvers", "lock", "nolock"}
	var words []string
	for _, word := range splitOptions(n.Options) {
		key, _, _ := strings.Cut(word, "=")
		if slices.Contains(user, key) || v != NFS3 && slices.Contains(three, key) || v == NFS3 && key == "clientaddr" {
			continue
		}
		words = append(words, word)
	}
	return words
}

func (n NFS) has(key string) bool {
	_, ok := n.option(key)
	return ok
}

// mountProto is the transport of the mount protocol: that of NFS, unless said
// otherwise.
func (n NFS) mountProto() string {
	proto, _ := n.option("mountproto")
	if proto == "" {
		proto, _ = n.option("proto")
	}
	if strings.HasPrefix(proto, "udp") {
		return "udp"
	}
	return "tcp"
}

func (n NFS) udp() bool {
	proto, _ := n.option("proto")
	return strings.HasPrefix(proto, "udp")
}
