package modtree

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// fileState is text that changes when a file does: its size, its times, and which file it is.
func fileState(info fs.FileInfo) string {
	text := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if st, ok := info.Sys().(*syscall.Stat_t); ok { // of a tree that is not on disk there is none
		text += fmt.Sprint("", st.Dev, st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
	}
	return text
}

// lastChange is when content or owner, mode, name of a file changed last: unpacking sets that, whatever time of
// modification it gives the file.
func lastChange(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
