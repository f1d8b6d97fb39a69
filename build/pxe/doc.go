// Package pxe makes what a boot server needs of one description of the nodes:
// the configurations of pxelinux, iPXE and GRUB, and the entries of dnsmasq, ISC
// dhcpd and Kea.
//
//	nodes, err := pxe.Parse(file)            // nodes.yaml
//	tree, err := pxe.Render(nodes, options)  // files, with paths below the TFTP directory
//	changes, err := pxe.Write(ctx, directory, tree.Files, false, nil)
//
// Parse and Render are pure. Parse finds what is wrong with the description,
// Render what is wrong with the command lines that come of it; both report all
// of it, with the lines of the file. Write is idempotent, and keeps a list of
// what it wrote, so that it can take away what is no longer wanted and leave
// alone what is not its own.
//
// # Names
//
// A loader asks for its configuration under several names, from the special to
// the general (pxelinux: syslinux/doc/pxelinux.txt; GRUB: its manual, "Booting
// GRUB from the network"):
//
//	01-52-54-00-77-0a-07   hardware type and address of the port that boots
//	0A000007               the IPv4 address in hexadecimal
//	0A00000, 0A0000 ...    less and less digits of it
//	default
//
// Render writes the first two for each node, and the shorter ones for the
// subnets and for the prefixes of groups: a machine that is not in the
// description, but gets its address from a pool, boots by them. A prefix whose
// length is not a multiple of four bits has several names.
//
// # Identities
//
// A DHCP server knows a node by its MAC or, on InfiniBand, by one of several
// client identifiers (docs/infiniband.md). The entries hold those that firmware
// and /init send for the client-id of the node, so that both get one address.
package pxe
