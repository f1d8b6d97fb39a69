package initramfs

// Limits of the kernel's reader (init/initramfs.c) and of ours.
const (
	cpioHeader  = 110
	cpioMaxName = 4096 // PATH_MAX
	cpioMaxLink = 4096
)

const cpioTrailer = "TRAILER!!!"
