// Package filelock keeps processes from each other that change the same files: whoever has the lock of one file of
// them may, the others wait for it.
package filelock
