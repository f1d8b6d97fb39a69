package rootfs

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// A node is a block device as sysfs shows it.
type node struct {
	name   string
	disk   string // name for a whole disk
	number int    // of the partition; 0 for a whole disk
	start  int64  // bytes from the start of the disk
	size   int64  // bytes
	sector int    // bytes in a logical sector
	wwid   string // of the disk; empty when it has none
	ro     bool   // write-protected
}

// listNodes returns the disks of sysfs (rooted at /sys), each followed by its
// partitions. With names only these disks are looked at, in that order. Devices
// without a size (an empty drive, an unused loop device), RAM disks and the
// hidden paths of NVMe multipath are left out.
func listNodes(sysfs fs.FS, names []string) ([]node, error) {
	if names == nil {
		entries, err := fs.ReadDir(sysfs, "block")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // no block device yet
			return nil, err
		}
		longest := 0
		for _, e := range entries {
			longest = max(longest, len(e.Name()))
		}
		// sdb before sdaa, as the kernel counts: the directory is sorted by name,
		// so sorting by length is all that is left.
		for n := 1; n <= longest; n++ {
			for _, e := range entries {
				if len(e.Name()) == n && !isNumbered(e.Name(), "ram") && !isNumbered(e.Name(), "zram") {
					names = append(names, e.Name())
				}
			}
		}
	}
	var nodes []node
	for _, name := range names {
		nodes = append(nodes, listDisk(sysfs, name)...)
	}
	return nodes, nil
}

// listDisk lists one disk. A device may go at any moment: what is missing then
// is left out.
func listDisk(sysfs fs.FS, name string) []node {
	dir := "block/" + name
	d := node{
		name:   name,
		disk:   name,
		size:   512 * attr(sysfs, dir+"/size"),
		sector: int(attr(sysfs, dir+"/queue/logical_block_size")),
	}
	d.ro = attr(sysfs, dir+"/ro") == 1
	if d.size == 0 || attr(sysfs, dir+"/hidden") == 1 {
		return nil
	}
	// SCSI has it below the device, NVMe at the disk itself. The kernel asked for
	// it when the disk came: nothing is read from the disk here.
	for _, path := range []string{"/device/wwid", "/wwid"} {
		if b, err := fs.ReadFile(sysfs, dir+path); err == nil && d.wwid == "" {
			d.wwid = printable(bytes.Join(bytes.Fields(b), []byte(" ")))
		}
	}
	entries, err := fs.ReadDir(sysfs, dir)
	if err != nil {
		return nil
	}
	var parts []node
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) {
			continue
		}
		p := node{name: e.Name(), disk: name, sector: d.sector, wwid: d.wwid}
		// Sizes in sysfs count 512 bytes, whatever the disk's sector is.
		sub := dir + "/" + e.Name()
		p.number = int(attr(sysfs, sub+"/partition"))
		p.start = 512 * attr(sysfs, sub+"/start")
		p.size = 512 * attr(sysfs, sub+"/size")
		p.ro = attr(sysfs, sub+"/ro") == 1
		if p.number > 0 && p.size > 0 {
			parts = append(parts, p)
			// The directory has p10 before p2.
			for i := len(parts) - 1; i > 0 && parts[i].number < parts[i-1].number; i-- {
				parts[i-1], parts[i] = parts[i], parts[i-1]
			}
		}
	}
	return append([]node{d}, parts...)
}

// attr reads a number; 0 stands for a file that is not there.
func attr(sysfs fs.FS, path string) int64 {
	b, err := fs.ReadFile(sysfs, path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n < 0 || n > 1<<54 {
		return 0
	}
	return n
}
