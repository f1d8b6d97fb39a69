// Package oldkernel makes the kernel that runs look like an older one: a seccomp
// filter answers calls and flags that the older one does not know with the error
// that it would give (seccomp(2)). It is for tests only.
//
// A process can put the filter on itself ([Install], as integration/oldinit does
// before it executes /init), or a test runs in a process that has it ([Under]).
// There is no way back, and children inherit it. What has no number in a call is
// beyond it: attributes of netlink, files of sysfs, names of mount options.
package oldkernel
