/* Login at the target, and the session in the kernel. */

#include "floor.h"

static char target[256], portal[32];
static u32 port, lun, expstatsn;

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

void connect_target(void)
{
	portal_of();
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
void ask_login(void)
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

void hear_login(void)
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
long scanner;

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
void show(void)
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
