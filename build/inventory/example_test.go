package inventory_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
)

// The hardware of a node, as "lspci -n" lists it.
func ExampleParse() {
	v, err := inventory.Parse("node7", strings.NewReader("00:03.0 0200: 1af4:1000\n"))
	if err != nil {
		log.Print(err)
		return
	}
	for _, d := range v.Devices {
		fmt.Println(d)
	}
	// Output:
	// pci 1af4:1000 virtio device 1
	// virtio 1 network adapter
}
