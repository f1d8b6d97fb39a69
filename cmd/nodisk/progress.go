package main

import (
	"fmt"
	"io"
	"os"

	"github.com/nodisk/nodisk/internal/escape"
)

// A statusLine shows what is being done: on a terminal in one line that is
// written again and again, elsewhere in one line a step. schollz/progressbar and vbauerster/mpb,
// which were tried, draw bars, and make nodisk 2.2 MB and 0.4 MB larger.
type statusLine struct {
	w        io.Writer
	terminal bool
	last     string // what was written last
}

func newStatusLine(w io.Writer) *statusLine {
	s := &statusLine{w: unescaped(w)} // what steers the terminal is its own
	if f, ok := escape.Bottom(w).(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// show is a build.Progress.
func (s *statusLine) show(step string, done, total int) {
	text := escape.Text(step)
	if s.terminal && total > 0 {
		text = fmt.Sprintf("%s, %d %%", text, int64(done)*100/int64(total))
	}
	if text == s.last {
		return
	}
	s.last = text
	if s.terminal {
		_, _ = fmt.Fprintf(s.w, "\r\x1b[K%s ...", text)
		return
	}
	_, _ = fmt.Fprintf(s.w, "%s ...\n", text)
}

// end takes the line away.
func (s *statusLine) end() {
	if s.terminal && s.last != "" {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K") // nothing can be done about a broken terminal
	}
}
