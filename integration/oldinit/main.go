// Command oldinit executes a program as Linux 4.18 would: see package oldkernel.
// It is what rdinit= names in the tests' images, and executes /init in its own
// place. Elsewhere it takes a command:
//
//	go test -exec "oldinit" ./init/...
package main

import (
	"fmt"
	"os"

	"github.com/nodisk/nodisk/internal/oldkernel"
)

func main() {
	args := os.Args[1:]
	if os.Getpid() == 1 {
		args = append([]string{"/init"}, args...)
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "oldinit: which program?")
		return
	}
	if err := oldkernel.Exec(oldkernel.Linux418(), args); err != nil {
		fmt.Fprintln(os.Stderr, "oldinit:", err)
		panic("oldinit: " + args[0] + " does not run")
	}
}
