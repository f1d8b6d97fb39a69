// Package compress has the compressions that a kernel's initramfs decompressors read (lib/decompress.c): it writes
// them so that the kernel takes them ([Write]), and unpacks the segments of an image as the kernel does
// ([Decompressors]).
package compress
