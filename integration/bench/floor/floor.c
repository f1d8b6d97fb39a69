/*
 * The floor of the bench: what a boot costs when nothing waits that need not wait.
 *
 * It is /init of the image that it is compared with (rdinit=/floor) and does what
 * the node's boot cannot do without: it mounts the kernel's file systems, loads
 * the same modules in the same order, gets a lease by DHCP and logs in to the
 * target beside that, mounts the root, frees the initramfs and starts the root's
 * init. It believes what it is told, has no second plan and ends the machine when
 * anything goes wrong: it is a measure, not a program to boot with. It does not ask
 * the link by ARP whether its address is another node's, which takes 20 ms.
 *
 * /floor.list names the root's kind (iscsi, nfs3, nfs4) in its first line, and
 * the files of the modules in those behind it. The link is eth0, the rest is in
 * the lease.
 *
 * Freestanding, for amd64: no C library need be installed.
 */

#include "floor.h"

enum boot_state state;
int sock = -1;
int control = -1;
int events = -1;
static enum { ISCSI, NFS3, NFS4 } kind;

/* step takes the next step if it can be taken, and reports whether it was. */
static int step(void)
{
	unsigned before = state;
	switch (state) {
	case NO_LINK:
		open_link();
		break;
	case LINK:
		say_dhcp(1);
		state = DISCOVERED;
		break;
	case DISCOVERED:
	case REQUESTED:
		switch (hear_dhcp()) {
		case 2:
			if (state == DISCOVERED)
				say_dhcp(3);
			state = REQUESTED;
			break;
		case 5:
			sys1(CLOSE, sock);
			set_address();
			state = LEASED;
			break;
		}
		break;
	case LEASED:
		if (kind != ISCSI)
			break;
		connect_target();
		break;
	case CONNECTING:
		ask_login();
		break;
	case ASKED:
		hear_login();
		break;
	case LOGGED_IN:
		show();
		break;
	case SHOWN:
		break;
	}
	return state != before;
}

static void load(const char *path)
{
	long fd = must(path, sys2(OPEN, path, 0));
	long r = sys3(FINIT_MODULE, fd, "", 0);
	if (r < 0 && r != -EEXIST)
		fail(path, r);
	sys1(CLOSE, fd);
}

static void mount_root(void)
{
	char data[256], *p, text[1024];
	long r;
	if (kind == ISCSI) {
		while ((r = sys5(MOUNT, "/dev/sda", "/sysroot", "ext4", 1, 0)) < 0) {
			struct pollfd wait = {events, 1, 0};
			must("wait for the disk", sys3(POLL, &wait, 1, 20000) - 1);
			while (sys6(RECVFROM, events, text, sizeof text, 0, 0, 0) > 0)
				;
		}
		must("wait for the scan", sys4(WAIT4, scanner, 0, 0, 0));
		return;
	}
	char host[32], *q = host;
	for (p = root; *p && *p != ':'; p++)
		*q++ = *p;
	*q = 0;
	u8 me[4];
	memcpy(me, &address, 4);
	p = add(data, kind == NFS3 ? "vers=3,proto=tcp,nolock,mountvers=3,mountproto=tcp,mountaddr="
				   : "vers=4.2,proto=tcp,clientaddr=");
	if (kind == NFS3)
		p = add(p, host);
	else
		for (int i = 0; i < 4; i++)
			p = number(i ? add(p, ".") : p, me[i]);
	add(add(p, ",addr="), host);
	must("mount", sys5(MOUNT, root, "/sysroot", "nfs", 1, data));
}

struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rest[14];
};

/* empty deletes what is below a directory of the device dev. */
static void empty(long dir, u64 dev)
{
	char list[2048];
	long n;
	while ((n = sys3(GETDENTS64, dir, list, sizeof list)) > 0)
		for (long at = 0; at < n;) {
			u16 size;
			memcpy(&size, list + at + 16, 2);
			char *name = list + at + 19;
			int is_dir = list[at + 18] == 4;
			at += size;
			if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
				continue;
			if (is_dir) {
				struct stat s;
				long sub = sys4(OPENAT, dir, name, 0200000, 0);
				if (sub < 0)
					continue;
				if (!sys2(FSTAT, sub, &s) && s.dev == dev)
					empty(sub, dev);
				sys1(CLOSE, sub);
			}
			sys3(UNLINKAT, dir, name, is_dir ? 0x200 : 0);
		}
}

static const char *const early[][3] = {
	{"proc", "/proc", ""},
	{"sysfs", "/sys", ""},
	{"devtmpfs", "/dev", "mode=0755"},
	{"tmpfs", "/run", "mode=0755,size=20%"},
};

static void switch_root(char **argv, char **envp)
{
	struct stat s;
	must("enter the root", sys1(CHDIR, "/sysroot"));
	long slash = must("open /", sys2(OPEN, "/", 0200000));
	must("look at /", sys2(FSTAT, slash, &s));
	for (int i = 0; i < 4; i++) {
		char to[16];
		add(add(to, "."), early[i][1]);
		must(early[i][1], sys5(MOUNT, early[i][1], to, 0, 8192, 0));
	}
	empty(slash, s.dev);
	must("move the root", sys5(MOUNT, ".", "/", 0, 8192, 0));
	must("change the root", sys1(CHROOT, "."));
	must("enter /", sys1(CHDIR, "/"));
	argv[0] = "/sbin/init";
	must("start the root's init", sys3(EXECVE, argv[0], argv, envp));
}

static char list[16384];

/* What the kernel puts on the stack: argc, argv, NULL, envp, NULL. */
__attribute__((used)) void begin(long *stack)
{
	char **argv = (char **)(stack + 1), **envp = argv + stack[0] + 1;
	for (int i = 0; i < 4; i++) {
		sys2(MKDIR, early[i][1], 0755);
		sys5(MOUNT, early[i][0], early[i][1], early[i][0], i < 2 ? 14 : 2, early[i][2]);
	}
	sys2(MKDIR, "/sysroot", 0755);
	put("/sys/kernel/rcu_expedited", "1");
	control = (int)must("socket", sys3(SOCKET, 2, 2, 0));
	must("/floor.list", slurp("/floor.list", list, sizeof list));
	kind = begins(list, "nfs3") ? NFS3 : begins(list, "nfs4") ? NFS4 : ISCSI;
	char *p = list;
	while (*p && *p++ != '\n')
		;
	while (*p) {
		char *path = p;
		while (*p && *p != '\n')
			p++;
		if (*p)
			*p++ = 0;
		load(path);
		while (step())
			;
	}
	unsigned end = kind == ISCSI ? SHOWN : LEASED;
	while (state != end) {
		if (step())
			continue;
		struct pollfd wait = {sock, state == CONNECTING ? 4 : 1, 0};
		/* Until the link has carrier there is nothing to wait for but time. */
		sys3(POLL, &wait, state > LINK, state > LINK ? 1000 : 1);
		if (state == DISCOVERED && !wait.revents)
			state = LINK;
	}
	mount_root();
	put("/sys/kernel/rcu_expedited", "0");
	switch_root(argv, envp);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
