// Package initramfs writes and reads the archives that an initramfs consists of.
//
// To write, [LayOut] puts entries into the order of an archive, [Packings] lays archives out as newc cpio and cuts
// them into blocks, and a [Writer] compresses the blocks side by side and writes them in order. The same entries give
// the same bytes, on any machine.
//
// To read, [ReadSource] goes through any image the way the kernel does (init/initramfs.c): cpio archives one after the
// other, each compressed or not, with zeroes between them. It keeps names and what the kernel would make of them, a
// [Tree]; contents are read in a further pass when they are asked for. [Inspect], [Diff] and [Reader.Unpack] are on
// top of it.
package initramfs
