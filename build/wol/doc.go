// Package wol wakes machines by magic packets, in order and staggered, so that a
// cluster that is switched on does not overload its power supply or its boot
// server.
//
//	sender, err := wol.Ethernet("eth1")      // or wol.UDP()
//	done, err := wol.Wake(ctx, targets, wol.Pace{Interval: 2 * time.Second, Batch: 4, Repeat: 3}, sender.Send, told)
//
// A magic packet is six bytes 0xff and sixteen times the MAC of the port,
// anywhere in a frame that reaches it (AMD, Magic Packet Technology, publication
// 20213). It must have been allowed before the machine was switched off: ethtool
// -s eth0 wol g, and in the firmware's setup. InfiniBand has nothing like it.
package wol
