// Package kernel tells what the file of a kernel says: release and architecture by its head ([Open]), and by the
// plain kernel in it ([Unpack]) the vermagic, the configuration and the symbols that it exports ([Source.Facts]).
package kernel
