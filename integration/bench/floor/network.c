/* The link and DHCP. */

#include "floor.h"

static u8 mac[6];
static u32 mask, router, server;
u32 address;
char root[256];

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

void open_link(void)
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
void say_dhcp(int type)
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
int hear_dhcp(void)
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

void set_address(void)
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
