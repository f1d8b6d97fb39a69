// Package output writes the files of a command: all of a [Set] appear at once, whole, when everything has been
// written, or none does. Pipes, terminals and descriptors are told from files by [Find].
package output
