// Package build makes nodisk images: initramfs archives with /init, the kernel modules a diskless node needs, their
// indexes and a config file.
//
// [Image] goes through these steps; all but the first and the last are functions from data to data:
//
//	kernel image, module tree, config, files, /init            (build/kernel, build/modtree, build/program)
//	   -> closure of the profiles' modules                     (modules.go, build/modtree)
//	   -> list of files, sorted, with fixed owners and times   (build/initramfs: LayOut)
//	   -> newc cpio, cut into blocks                           (build/initramfs: Packings)
//	   -> compression                                          (build/compress)
//	   -> segments one after the other, in a temporary file that is renamed (build/initramfs: Writer, build/output)
//
// The same input gives the same bytes, on any machine and in any directory. Modules are stored uncompressed, because
// the image is compressed as a whole: that is smaller, and /init need not unpack them.
//
// [Check] says whether a kernel will accept the modules of an image or a tree.
package build
