package link_test

import (
	"fmt"
	"log"

	"github.com/nodisk/nodisk/netsetup/link"
)

// The same port, as sysfs, as ibstat and as the firmware of a card spell it.
func ExampleParseGUID() {
	var guids []link.GUID
	for _, s := range []string{"fe80:0000:0000:0000:0002:c903:0000:1039", "0x2c90300001039", "00:02:c9:00:10:39"} {
		g, err := link.ParseGUID(s)
		if err != nil {
			log.Print(err)
			return
		}
		guids = append(guids, g)
	}
	fmt.Println(guids[0])
	fmt.Println(guids[0].Is(guids[1]), guids[0].Is(guids[2]))
	// Output:
	// 00:02:c9:03:00:00:10:39
	// true true
}
