// Command nodisk-init is PID 1 of a nodisk initramfs.
package main

import (
	"os"

	"github.com/nodisk/nodisk/init/boot"
)

func main() {
	boot.Main(os.Args)
}
