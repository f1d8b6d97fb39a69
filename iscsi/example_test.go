package iscsi_test

import (
	"fmt"
	"log"

	"github.com/nodisk/nodisk/iscsi"
)

// A root path as a DHCP server gives it (option 17, RFC 4173).
func ExampleParseRootPath() {
	t, err := iscsi.ParseRootPath("iscsi:10.0.0.1:::2:iqn.2026-01.example:node7")
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println("target", t.Name)
	fmt.Println("portal", t.Portal)
	fmt.Println("LUN   ", t.LUN)
	// Output:
	// target iqn.2026-01.example:node7
	// portal 10.0.0.1:3260
	// LUN    2
}

// Errors name what is wrong and what would be right.
func ExampleParseRootPath_error() {
	_, err := iscsi.ParseRootPath("iscsi:10.0.0.1::port::iqn.2026-01.example:node7")
	fmt.Println(err)
	// Output:
	// port "port" is not a number from 1 to 65535
}

// The name that the initiator introduces itself by is checked before it is used.
func ExampleValidateName() {
	fmt.Println(iscsi.ValidateName("iqn.2026-01.example:node7"))
	fmt.Println(iscsi.ValidateName("node7"))
	// Output:
	// <nil>
	// name "node7" is none of iqn.YYYY-MM.DOMAIN:NAME, eui.DIGITS and naa.DIGITS
}
