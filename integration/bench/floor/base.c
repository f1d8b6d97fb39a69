/* What a C library would have, and how the floor ends. */

#include "floor.h"

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

u64 length(const char *s)
{
	u64 n = 0;
	while (s[n])
		n++;
	return n;
}

int begins(const char *s, const char *with)
{
	while (*with)
		if (*s++ != *with++)
			return 0;
	return 1;
}

int contains(const char *s, const char *what)
{
	for (; *s; s++)
		if (begins(s, what))
			return 1;
	return 0;
}

char *add(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = 0;
	return to;
}

char *number(char *to, u64 n)
{
	char digits[24];
	int i = 24;
	digits[--i] = 0;
	do
		digits[--i] = '0' + n % 10;
	while (n /= 10);
	return add(to, digits + i);
}

u64 value(const char *s)
{
	u64 n = 0;
	while (*s >= '0' && *s <= '9')
		n = 10 * n + (u64)(*s++ - '0');
	return n;
}

u16 swap16(u16 v) { return (u16)(v << 8 | v >> 8); }
u32 swap32(u32 v) { return __builtin_bswap32(v); }

/* fail says what went wrong and ends the machine. */
void fail(const char *what, long why)
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

long must(const char *what, long r)
{
	if (r < 0)
		fail(what, r);
	return r;
}

/* slurp reads a file that is small, or shorter than room. */
long slurp(const char *path, char *to, long room)
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

void put(const char *path, const char *text)
{
	long fd = sys2(OPEN, path, 1);
	if (fd < 0)
		return;
	sys3(WRITE, fd, text, length(text));
	sys1(CLOSE, fd);
}
