/*
 * What the files of the floor share.
 */

#ifndef FLOOR_H
#define FLOOR_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

static inline long sys(long n, long a, long b, long c, long d, long e, long f)
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
	SENDTO = 44, RECVFROM = 45, BIND = 49, FORK = 57, EXECVE = 59, EXIT = 60, WAIT4 = 61,
	CHDIR = 80, MKDIR = 83, CHROOT = 161, MOUNT = 165, REBOOT = 169, GETDENTS64 = 217, OPENAT = 257, UNLINKAT = 263, FINIT_MODULE = 313,
};
enum { EAGAIN = 11, EEXIST = 17, EINPROGRESS = 115, ENOSYS = 38 };

struct pollfd {
	int fd;
	short events, revents;
};

/* base.c: what a C library would have. */
void *memset(void *p, int c, u64 n);
void *memcpy(void *to, const void *from, u64 n);
u64 length(const char *s);
int begins(const char *s, const char *with);
int contains(const char *s, const char *what);
char *add(char *to, const char *s);
char *number(char *to, u64 n);
u64 value(const char *s);
u16 swap16(u16 v);
u32 swap32(u32 v);
void fail(const char *what, long why);
long must(const char *what, long r);
long slurp(const char *path, char *to, long room);
void put(const char *path, const char *text);

/* The boot's state. Each step is taken as soon as the kernel and the server let it. */
enum boot_state { NO_LINK, LINK, DISCOVERED, REQUESTED, LEASED, CONNECTING, ASKED, LOGGED_IN, SHOWN };
extern enum boot_state state;

extern int sock;       /* DHCP, then the connection to the target */
extern int control;    /* for ioctls */
extern int events;     /* uevents */
extern u32 address;    /* of the lease */
extern char root[256]; /* root path of the lease */
extern long scanner;   /* the process that looks for the unit */

/* network.c: the link and DHCP. */
void open_link(void);
void say_dhcp(int type);
int hear_dhcp(void);
void set_address(void);

/* iscsi.c: login, and the session in the kernel. */
void connect_target(void);
void ask_login(void);
void hear_login(void);
void show(void);

#endif
