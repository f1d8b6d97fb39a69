package netsetup_test

import (
	"fmt"
	"log"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// The kernel's own syntax (Documentation/admin-guide/nfs/nfsroot.rst) and dracut's.
func ExampleParseConfig() {
	c, err := netsetup.ParseConfig(cmdline.Parse("ip=10.0.0.7::10.0.0.254:255.255.255.0:node7:eth0:none nameserver=10.0.0.53"))
	if err != nil {
		log.Print(err)
		return
	}
	for _, i := range c.Interfaces {
		fmt.Println(i)
	}
	fmt.Println(c.Nameservers)
	// Output:
	// 10.0.0.7::10.0.0.254:24:node7:eth0:static
	// [10.0.0.53]
}
