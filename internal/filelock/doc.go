// Package filelock keeps processes that change the same files out of each other's way: the one
// that holds the lock on one of the files may change them, the others wait for it.
package filelock
