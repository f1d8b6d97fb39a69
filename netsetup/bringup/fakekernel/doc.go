// Package fakekernel is a kernel for the tests of netsetup/bringup, with the network behind
// it: no privileges are needed, and in a bubble of testing/synctest no time.
//
// [New] makes a [Kernel] with the devices of a test. It tells of them as the watch on
// rtnetlink would, writes down what it is told to do as commands of ip(8), and fails where
// the test wants it to:
//
//	k := fakekernel.New(t, linktest.Ethernet(2, "eth0", mac))
//	k.Servers["eth0"] = fakekernel.GoodServer(t)
//	k.Fail["ip link set eth0 up"] = errors.New("input/output error")
//
// A [Responder] is a DHCP server on the cable of a device. [UnderRules] has the kernel do
// with MTUs, bonds, VLANs and P_Key children what Linux does; without, links that are made
// appear only if the test shows them ([Kernel.Appear]). A [Lab] makes a kernel of cards
// ([Card]) and the servers on their cables.
//
// Its fields are read and changed under its lock while a runner is at work. That runner
// wants sockets of its own type from a kernel: bringup's tests wrap a Kernel for it.
package fakekernel
