// Package build makes and reads nodisk images: initramfs archives with /init,
// the kernel modules a diskless node needs, their indexes and a config file.
//
// [Image] goes through these steps; all but the first and the last are
// functions from data to data:
//
//	kernel image, module tree, config, files, /init     (kernel.go, tree.go, program.go)
//	   -> closure of the profiles' modules               (modules.go, index.go)
//	   -> list of files, sorted, with fixed owners and times  (layout.go)
//	   -> newc cpio                                      (cpio.go)
//	   -> compression                                    (compress.go, lz4.go)
//	   -> segments one after the other, in a temporary file that is renamed (write.go, image.go)
//
// The same input gives the same bytes, on any machine and in any directory.
// Modules are stored uncompressed, because the image is compressed as a whole:
// that is smaller, and /init need not unpack them.
//
// [ReadSource] reads any initramfs the way the kernel does (init/initramfs.c):
// cpio archives one after the other, each compressed or not, with zeroes
// between them. It goes through the file segment by segment (imagesource.go, read.go, scan.go,
// cpioread.go), keeps names and what the kernel would make of them (unpacked.go), and
// reads contents in a further pass when they are asked for (readimage.go, imagefs.go).
// [Inspect], [Diff] and [ImageReader.Unpack] are on top of it.
//
// /init itself comes as a binary that nodisk carries ([EmbeddedInit]) or from
// u-root's mkuimage, which compiles it ([CompileInit]).
package build
