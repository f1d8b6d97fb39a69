// Package server is the lab's server as a virtual machine, for what cannot be served from a
// network namespace: a fabric's InfiniBand, whose adapter is a kernel module, and a rig's
// bonds and bridges, which the machine's own kernel may lack.
//
// Its initramfs is an [Archive] of programs of this machine, of the kernel under test, and of
// the scripts init and services; the script that makes its network is the caller's. [Start]
// boots a [VM], which takes shell commands over its second serial line ([VM.Run]).
package server
