// Package rootfs answers two questions of a diskless boot: where the root is, and how it is
// mounted.
//
// ParseRoot turns the command line into a Root, which is plain data: a block
// device chosen by a Selector (perhaps on disks that iSCSI attaches first), an
// NFS export, or the initramfs itself. What only DHCP knows is filled in later
// by Root.WithRootPath and NFS.For.
//
// Block devices are recognised by what is written on them (Probe for
// superblocks, ParsePartitions for GPT and MBR), because there is neither udev
// nor blkid in the initramfs. FindBlock and FindOn wait for a device by uevent
// and read each one once, 68 KiB in one piece, and 128 KiB at its end when nothing
// covers that: every read may be a round trip to a storage server. What cannot be
// mounted (LVM, LUKS, RAID ...) is named and never passed over for a filesystem
// beside it.
//
// MountBlock and MountNFS call mount(2), which the kernel may hold forever: on a
// directory of the attempt's own, from where the mount is moved. NFS needs no mount.nfs: version 4 gets
// its addresses as options, and for version 3 the package speaks rpcbind and
// the mount protocol itself (RFC 1833, RFC 1813 appendix I), mainly to be able
// to say what the server exports when it refuses.
//
// Nothing here logs except through the logger that is passed in, where nil
// discards.
package rootfs
