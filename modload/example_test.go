package modload_test

import (
	"fmt"
	"log"
	"testing/fstest"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// tree is what depmod writes of a release with four modules.
func tree() fstest.MapFS {
	return fstest.MapFS{
		"lib/modules/6.1/modules.dep": {Data: []byte(`kernel/lib/crc16.ko:
kernel/fs/jbd2/jbd2.ko:
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/drivers/net/virtio_net.ko:
`)},
		"lib/modules/6.1/modules.alias": {Data: []byte("alias virtio:d00000001v* virtio_net\n")},
	}
}

// What a module needs comes before it.
func ExampleIndex_Resolve() {
	x, err := modload.Open(tree(), "6.1")
	if err != nil {
		log.Print(err)
		return
	}
	modules, err := x.Resolve("ext4")
	if err != nil {
		log.Print(err)
		return
	}
	for _, m := range modules {
		fmt.Println(m.Name, m.Deps)
	}
	// Output:
	// crc16 []
	// jbd2 []
	// ext4 [crc16 jbd2]
}

// A device says in sysfs what it is: that leads to its driver.
func ExampleIndex_Match() {
	x, err := modload.Open(tree(), "6.1")
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(x.Match("virtio:d00000001v00001AF4"))
	// Output: [virtio_net]
}

// Parameters and blacklists are taken from the command line of the kernel.
func ExampleParseParams() {
	params, blacklist := modload.ParseParams(cmdline.Parse("virtio_net.napi_tx=0 module_blacklist=floppy quiet"))
	_, never := blacklist.Find("floppy", false)
	fmt.Println(params.For("virtio-net"))
	fmt.Println(never)
	// Output:
	// napi_tx=0
	// true
}
