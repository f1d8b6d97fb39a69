// Command nodisk-init is PID 1 of a nodisk initramfs.
package main

import (
	"os"

	boot "github.com/nodisk/nodisk/init"
)

func main() {
	boot.Main(os.Args)
}
