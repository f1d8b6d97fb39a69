/*
 * The floor of the bench: what a boot costs when nothing waits that need not wait.
 *
 * It is /init of the image that it is compared with (rdinit=/floor) and does what
 * the node's boot cannot do without: it mounts the kernel's file systems, loads
 * the same modules in the same order, gets a lease by DHCP and logs in to the
 * target beside that, mounts the root, frees the initramfs and starts the root's
 * init. It believes what it is told, has no second plan and ends the machine when
 * anything goes wrong: it is a measure, not a program to boot with.
 *
 * /floor.list names the root's kind (iscsi, nfs3, nfs4) in its first line, and
 * the files of the modules in those behind it. The link is eth0, the rest is in
 * the lease.
 *
 * Freestanding, for amd64: no C library need be installed.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

static long sys(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

#define sys0(n) sys(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) sys(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) sys(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sys5(n, a, b, c, d, e) sys(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define sys6(n, a, b, c, d, e, f) sys(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* System calls, arch/x86/entry/syscalls/syscall_64.tbl. */
enum {
	READ = 0, WRITE = 1, OPEN = 2, CLOSE = 3, FSTAT = 5, POLL = 7, IOCTL = 16, SOCKET = 41, CONNECT = 42,
	SENDTO = 44, RECVFROM = 45, BIND = 49, FORK = 57, EXECVE = 59, EXIT = 60, WAIT4 = 61, CHDIR = 80, MKDIR = 83, CHROOT = 161, MOUNT = 165,
	REBOOT = 169, GETDENTS64 = 217, OPENAT = 257, UNLINKAT = 263, FINIT_MODULE = 313,
};
enum { EAGAIN = 11, EEXIST = 17, EINPROGRESS = 115, ENOSYS = 38 };

void *memset(void *p, int c, u64 n)
{
	for (u8 *q = p; n--;)
		*q++ = (u8)c;
	return p;
}

void *memcpy(void *to, const void *from, u64 n)
{
	u8 *q = to;
	for (const u8 *p = from; n--;)
		*q++ = *p++;
	return to;
}

static u64 length(const char *s)
{
	u64 n = 0;
	while (s[n])
		n++;
	return n;
}

static int begins(const char *s, const char *with)
{
	while (*with)
		if (*s++ != *with++)
			return 0;
	return 1;
}

static int contains(const char *s, const char *what)
{
	for (; *s; s++)
		if (begins(s, what))
			return 1;
	return 0;
}

static char *add(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = 0;
	return to;
}

static char *number(char *to, u64 n)
{
	char digits[24];
	int i = 24;
	digits[--i] = 0;
	do
		digits[--i] = '0' + n % 10;
	while (n /= 10);
	return add(to, digits + i);
}

static u64 value(const char *s)
{
	u64 n = 0;
	while (*s >= '0' && *s <= '9')
		n = 10 * n + (u64)(*s++ - '0');
	return n;
}

static u16 swap16(u16 v) { return (u16)(v << 8 | v >> 8); }
static u32 swap32(u32 v) { return __builtin_bswap32(v); }

/* fail says what went wrong and ends the machine. */
static void fail(const char *what, long why)
{
	char line[256], *p = add(line, "<1>floor: ");
	p = add(p, what);
	p = add(p, ": ");
	p = number(p, (u64)(why < 0 ? -why : why));
	p = add(p, "\n");
	sys3(WRITE, sys2(OPEN, "/dev/kmsg", 1), line, p - line);
	sys4(REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0); /* LINUX_REBOOT_CMD_POWER_OFF */
	for (;;)
		sys3(POLL, 0, 0, -1);
}

static long must(const char *what, long r)
{
	if (r < 0)
		fail(what, r);
	return r;
}

/* slurp reads a file that is small, or shorter than room. */
static long slurp(const char *path, char *to, long room)
{
	long fd = sys2(OPEN, path, 0), n, all = 0;
	if (fd < 0)
		return fd;
	while (all < room - 1 && (n = sys3(READ, fd, to + all, room - 1 - all)) > 0)
		all += n;
	sys1(CLOSE, fd);
	to[all] = 0;
	return all;
}

static void put(const char *path, const char *text)
{
	long fd = sys2(OPEN, path, 1);
	if (fd < 0)
		return;
	sys3(WRITE, fd, text, length(text));
	sys1(CLOSE, fd);
}

struct pollfd {
	int fd;
	short events, revents;
};

/* The boot's state. Each step is taken as soon as the kernel and the server let it. */
static enum { NO_LINK, LINK, DISCOVERED, REQUESTED, LEASED, CONNECTING, ASKED, LOGGED_IN, SHOWN } state;
static enum { ISCSI, NFS3, NFS4 } kind;
static int sock = -1;     /* DHCP, then the connection to the target */
static int control = -1;  /* for ioctls */
static int events = -1;   /* uevents */
static u8 mac[6];
static u32 address, mask, router, server, expstatsn;
static char root[256]; /* root path of the lease */
static char target[256], portal[32];
static u32 port, lun;

/* struct ifreq of <linux/if.h>. */
struct ifreq {
	char name[16];
	union {
		short flags;
		int index;
		struct {
			u16 family, port;
			u32 addr;
			u8 zero[8];
		} in;
		u8 hw[16];
		void *data;
		u8 room[24];
	};
};

static long link_ioctl(long request, struct ifreq *r)
{
	add(r->name, "eth0");
	return sys3(IOCTL, control, request, r);
}

static void carrier(void)
{
	struct ifreq r = {0};
	struct {
		u32 cmd, data;
	} get = {0x0a, 0}; /* ETHTOOL_GLINK */
	r.data = &get;
	if (link_ioctl(0x8946, &r) < 0 || !get.data)
		return;
	memset(&r, 0, sizeof r);
	link_ioctl(0x8933, &r); /* SIOCGIFINDEX */
	struct {
		u16 family, protocol;
		int index;
		u16 hatype;
		u8 type, halen, addr[8];
	} ll = {17, swap16(0x0800), r.index, 0, 0, 0, {0}};
	sock = (int)must("packet socket", sys3(SOCKET, 17, 2 | 04000, swap16(0x0800)));
	must("bind packet socket", sys3(BIND, sock, &ll, 20));
	state = LINK;
}

static void open_link(void)
{
	static int up;
	struct ifreq r = {0};
	if (!up) {
		if (link_ioctl(0x8913, &r) < 0) /* SIOCGIFFLAGS: is there one? */
			return;
		r.flags |= 1;
		must("link up", link_ioctl(0x8914, &r));
		memset(&r, 0, sizeof r);
		must("link address", link_ioctl(0x8927, &r));
		memcpy(mac, r.hw + 2, 6);
		up = 1;
	}
	carrier();
}

static u32 sum(const u8 *p, u64 n, u32 s)
{
	for (u64 i = 0; i + 1 < n; i += 2)
		s += (u32)(p[i] << 8 | p[i + 1]);
	return s;
}

/* say_dhcp sends DISCOVER (1) or REQUEST (3): RFC 2131, over IP and UDP of our own. */
static void say_dhcp(int type)
{
	u8 b[28 + 300] = {0}, *d = b + 28, *o = d + 240;
	d[0] = 1, d[1] = 1, d[2] = 6;
	memcpy(d + 4, mac + 2, 4); /* xid */
	memcpy(d + 28, mac, 6);
	memcpy(d + 236, "\x63\x82\x53\x63", 4);
	*o++ = 53, *o++ = 1, *o++ = (u8)type;
	if (type == 3) {
		*o++ = 50, *o++ = 4, memcpy(o, &address, 4), o += 4;
		*o++ = 54, *o++ = 4, memcpy(o, &server, 4), o += 4;
	}
	memcpy(o, "\x37\x03\x01\x03\x11\xff", 6); /* wants 1, 3, 17 */
	b[0] = 0x45, b[2] = sizeof b >> 8, b[3] = sizeof b & 255, b[8] = 64, b[9] = 17;
	memset(b + 16, 255, 4);
	u32 s = sum(b, 20, 0);
	s = (s & 0xffff) + (s >> 16);
	s = ~(s + (s >> 16));
	b[10] = (u8)(s >> 8), b[11] = (u8)s;
	b[21] = 68, b[23] = 67, b[24] = (sizeof b - 20) >> 8, b[25] = (sizeof b - 20) & 255;
	struct ifreq r = {0};
	link_ioctl(0x8933, &r);
	struct {
		u16 family, protocol;
		int index;
		u16 hatype;
		u8 type, halen, addr[8];
	} to = {17, swap16(0x0800), r.index, 0, 0, 6, {255, 255, 255, 255, 255, 255}};
	sys6(SENDTO, sock, b, sizeof b, 0, &to, 20);
}

/* hear_dhcp returns the type of an answer, 0 for none. */
static int hear_dhcp(void)
{
	u8 b[1500], *d = b + 28;
	int type = 0;
	u32 at = 0, netmask = 0, gateway = 0;
	long n = sys6(RECVFROM, sock, b, sizeof b, 0, 0, 0);
	if (n < 28 + 240 || b[9] != 17 || b[23] != 68)
		return 0;
	for (u8 *o = d + 240; o < b + n && *o != 255; o += *o ? 2 + o[1] : 1)
		switch (*o) {
		case 53: type = o[2]; break;
		case 54: memcpy(&at, o + 2, 4); break;
		case 1: memcpy(&netmask, o + 2, 4); break;
		case 3: memcpy(&gateway, o + 2, 4); break;
		case 17: memcpy(root, o + 2, o[1]), root[o[1]] = 0; break;
		}
	memcpy(&address, d + 16, 4);
	server = at, mask = netmask, router = gateway;
	return type;
}

static void set_address(void)
{
	struct ifreq r = {0};
	r.in.family = 2, r.in.addr = address;
	must("set address", link_ioctl(0x8916, &r));
	r.in.addr = mask;
	must("set mask", link_ioctl(0x891c, &r));
	struct { /* struct rtentry of <linux/route.h> */
		u64 pad1;
		struct {
			u16 family, port;
			u32 addr;
			u8 zero[8];
		} dst, gateway, genmask;
		u16 flags, pad2;
		u32 pad3;
		u64 pad4;
		void *pad5;
		u16 metric;
		char *dev;
		u64 mtu, window;
		u16 irtt;
	} route = {0};
	route.dst.family = route.gateway.family = route.genmask.family = 2;
	route.gateway.addr = router, route.flags = 3; /* RTF_UP | RTF_GATEWAY */
	if (router)
		must("default route", sys3(IOCTL, control, 0x890b, &route));
}

/* portal_of takes "iscsi:HOST::PORT:LUN:NAME" apart (RFC 4173). */
static void portal_of(void)
{
	char *p = root + 6, *q = portal;
	while (*p != ':')
		*q++ = *p++;
	*q = 0;
	port = (u32)value(p += 2);
	while (*p++ != ':')
		;
	lun = (u32)value(p);
	while (*p++ != ':')
		;
	add(target, p);
}

static u32 ip(const char *s)
{
	u8 b[4];
	u32 a;
	for (int i = 0; i < 4; i++) {
		b[i] = (u8)value(s);
		while (*s >= '0' && *s <= '9')
			s++;
		s++;
	}
	memcpy(&a, b, 4);
	return a;
}

static void connect_target(void)
{
	struct {
		u16 family, port;
		u32 addr;
		u8 zero[8];
	} to = {2, swap16((u16)port), ip(portal), {0}};
	sock = (int)must("TCP socket", sys3(SOCKET, 2, 1 | 04000, 0));
	long r = sys3(CONNECT, sock, &to, 16);
	if (r < 0 && r != -EINPROGRESS)
		fail("connect", r);
	state = CONNECTING;
}

static const char initiator[] = "iqn.2010-04.org.ipxe:node";

static char *key(char *to, const char *name, const char *is)
{
	to = add(to, name);
	*to++ = '=';
	return add(to, is) + 1;
}

/* ask_login sends the one login PDU (RFC 7143, 11.12) when the connection is there. */
static void ask_login(void)
{
	struct pollfd p = {sock, 4, 0};
	if (sys3(POLL, &p, 1, 0) < 1)
		return;
	u8 b[2048] = {0};
	char *t = (char *)b + 48;
	t = key(t, "InitiatorName", initiator);
	t = key(t, "TargetName", target);
	t = key(t, "SessionType", "Normal");
	t = key(t, "HeaderDigest", "None");
	t = key(t, "DataDigest", "None");
	t = key(t, "MaxRecvDataSegmentLength", "262144");
	t = key(t, "DefaultTime2Wait", "2");
	t = key(t, "DefaultTime2Retain", "0");
	t = key(t, "ErrorRecoveryLevel", "0");
	t = key(t, "InitialR2T", "No");
	t = key(t, "ImmediateData", "Yes");
	t = key(t, "MaxBurstLength", "16776192");
	t = key(t, "FirstBurstLength", "262144");
	t = key(t, "MaxOutstandingR2T", "1");
	t = key(t, "MaxConnections", "1");
	t = key(t, "DataPDUInOrder", "Yes");
	t = key(t, "DataSequenceInOrder", "Yes");
	long n = t - (char *)b - 48;
	b[0] = 0x43, b[1] = 0x87; /* immediate, login; from operational to full feature */
	b[6] = (u8)(n >> 8), b[7] = (u8)n;
	memcpy(b + 8, "\x00\x02\x3d\x00\x00\x01", 6); /* ISID */
	b[27] = 1;                                  /* CmdSN */
	n = 48 + ((n + 3) & ~3L);
	if (sys6(SENDTO, sock, b, n, 0, 0, 0) != n)
		fail("send login", 0);
	state = ASKED;
}

/* What the kernel is told: numbers of enum iscsi_param. */
static u32 max_xmit = 8192, max_burst = 262144, first_burst = 65536, initial_r2t = 1, immediate = 1;

static void hear_login(void)
{
	static u8 b[8192];
	static long have;
	long n = sys6(RECVFROM, sock, b + have, sizeof b - 1 - (u64)have, 0, 0, 0);
	if (n <= 0)
		return;
	have += n;
	n = b[5] << 16 | b[6] << 8 | b[7];
	if (have < 48 + n)
		return;
	if (b[36] || !(b[1] & 0x80))
		fail("login", b[36] << 8 | b[37]);
	memcpy(&expstatsn, b + 24, 4);
	expstatsn = swap32(expstatsn) + 1;
	for (char *t = (char *)b + 48; t < (char *)b + 48 + n; t += length(t) + 1)
		if (begins(t, "MaxRecvDataSegmentLength="))
			max_xmit = (u32)value(t + 25);
		else if (begins(t, "MaxBurstLength="))
			max_burst = (u32)value(t + 15);
		else if (begins(t, "FirstBurstLength="))
			first_burst = (u32)value(t + 17);
		else if (begins(t, "InitialR2T="))
			initial_r2t = t[11] == 'Y';
		else if (begins(t, "ImmediateData="))
			immediate = t[14] == 'Y';
	state = LOGGED_IN;
}

static int nl = -1;
static u64 handle;

/* call sends one message of enum iscsi_uevent_e, and returns the first two words of the reply. */
static u64 call(u32 type, const u32 *u, int words, const char *payload, long size)
{
	u8 b[512] = {0}, in[4096];
	u32 total = (u32)(16 + 56 + size);
	memcpy(b, &total, 4);
	memcpy(b + 4, &type, 2);
	memcpy(b + 16, &type, 4);
	memcpy(b + 24, &handle, 8);
	memcpy(b + 32, u, (u64)words * 4);
	memcpy(b + 72, payload, (u64)size);
	must("iscsi netlink", sys6(SENDTO, nl, b, total, 0, 0, 0));
	for (;;) {
		u32 got;
		must("iscsi netlink reply", sys6(RECVFROM, nl, in, sizeof in, 0, 0, 0));
		memcpy(&got, in + 16, 4);
		if (got == type || got == 103) { /* ISCSI_KEVENT_IF_ERROR */
			u64 r;
			memcpy(&r, in + 16 + 40, 8);
			if (type > 13 && (int)r && (int)r != -ENOSYS)
				fail("iscsi request", (int)r);
			return r;
		}
	}
}

static u32 sid, cid;
static long scanner; /* the process that looks for the unit */

static void param_text(u32 param, const char *text)
{
	u32 u[] = {sid, cid, param, (u32)length(text) + 1};
	call(16, u, 4, text, (long)u[3]);
}

static void param(u32 number_of, u64 v)
{
	char text[24];
	number(text, v);
	param_text(number_of, text);
}

/* show gives the connection to the kernel and has it look for the unit. */
static void show(void)
{
	char text[64], path[96];
	static char algorithms[16384];
	if (slurp("/sys/class/iscsi_transport/tcp/handle", text, sizeof text) <= 0)
		return; /* the module is not loaded yet, or what it has sums made by */
	slurp("/proc/crypto", algorithms, sizeof algorithms);
	if (!contains(algorithms, "crc32c"))
		return;
	handle = value(text);
	nl = (int)must("iscsi socket", sys3(SOCKET, 16, 3, 8));
	struct {
		u16 family, pad;
		u32 pid, groups;
	} me = {16, 0, 0, 1};
	must("bind iscsi socket", sys3(BIND, nl, &me, 12));
	me.pid = 0, me.groups = 1 << 0;
	events = (int)must("uevent socket", sys3(SOCKET, 16, 3 | 04000, 15));
	must("bind uevent socket", sys3(BIND, events, &me, 12));

	u32 create[] = {1, 128 | 32 << 16};
	u64 r = call(11, create, 2, "", 0);
	sid = (u32)r;
	u32 host = (u32)(r >> 32);
	u32 conn[] = {sid, 0};
	cid = (u32)(call(13, conn, 2, "", 0) >> 32);
	u32 bound[] = {sid, cid, (u32)sock, 0, 1};
	call(15, bound, 5, "", 0);
	param_text(15, target);
	param_text(17, portal);
	param(18, port);
	param(19, 86400), param(26, 1), param(27, 15), param(28, 30), param(35, 30), param(30, 5), param(31, 5);
	param_text(32, "default");
	param_text(34, initiator);
	param(43, 0);
	param(0, 262144), param(1, max_xmit), param(2, 0), param(3, 0), param(4, initial_r2t), param(5, 1);
	param(6, immediate), param(7, first_burst < max_burst ? first_burst : max_burst), param(8, max_burst);
	param(9, 1), param(10, 1), param(11, 0), param(14, expstatsn), param(16, 1);
	call(17, conn, 2, "", 0);

	char *p = add(path, "/sys/class/scsi_host/host");
	add(number(p, host), "/scan");
	p = add(text, "0 0 ");
	number(p, lun);
	/* The scan waits for the target: modules load meanwhile. */
	scanner = must("fork", sys0(FORK));
	if (!scanner) {
		put(path, text);
		sys1(EXIT, 0);
	}
	state = SHOWN;
}

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
		portal_of();
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
	p = add(data, kind == NFS3 ? "vers=3,proto=tcp,nolock,mountvers=3,mountproto=tcp,mountaddr=" : "vers=4.2,proto=tcp,clientaddr=");
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
	{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", "mode=0755"}, {"tmpfs", "/run", "mode=0755,size=20%"},
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
