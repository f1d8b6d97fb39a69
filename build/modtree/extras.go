package modtree

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload"
)

// An Extra is what modules ask the kernel for while they run, by
// request_module, or need to be of use: dependencies of modules.dep say nothing of it.
type Extra struct {
	// Module is a name, or the beginning of paths below lib/modules/RELEASE/kernel,
	// with a slash at its end.
	module string
	// Wants are names or aliases. Each is taken when the kernel has it as a
	// module.
	wants []string
	// First wants them loaded before the module: it asks in its probe, when
	// /init does not answer yet (init/boot/modprobe_linux.go), and does not ask again.
	first bool
}

// Extras lists what Linux 5.4 to 6.12 ask for on the way to a root. What only a
// user's key or a mount option after the switch asks for is not there (fscrypt's ciphers,
// Kerberos for nfsv4): the root has modules of its own then. Names of ciphers are
// what crypto_alloc_* is called with; a template such as xts(aes) asks for its
// parts one by one.
func Extras() []Extra {
	return []Extra{
		// Checksums.
		{module: "iscsi_tcp", wants: []string{"crypto-crc32c"}}, // HeaderDigest=CRC32C
		{module: "nvme_tcp", wants: []string{"crypto-crc32c"}},
		{module: "ext4", wants: []string{"crypto-crc32c", "utf8data"}}, // utf8data: casefold
		{module: "jbd2", wants: []string{"crypto-crc32c"}},
		{module: "xfs", wants: []string{"crypto-crc32c"}},
		{module: "libcrc32c", wants: []string{"crypto-crc32c"}},
		{module: "f2fs", wants: []string{"crypto-crc32", "utf8data"}},
		{module: "btrfs", wants: []string{"crypto-crc32c", "crypto-xxhash64", "crypto-sha256", "crypto-blake2b-256"}},
		{module: "crc_t10dif", wants: []string{"crypto-crct10dif"}},
		{module: "crc64_rocksoft", wants: []string{"crypto-crc64-rocksoft"}},

		// Character sets: the defaults of distributions' kernels.
		{module: "fat", wants: []string{"nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8"}},
		{module: "isofs", wants: []string{"nls_utf8", "nls_iso8859_1"}},
		{module: "udf", wants: []string{"nls_utf8"}},
		{module: "ntfs3", wants: []string{"nls_utf8"}},
		{module: "hfsplus", wants: []string{"nls_utf8"}},
		{module: "jfs", wants: []string{"nls_utf8"}},

		// Its softdeps lack "pre:", so that modprobe ignores them.
		{module: "cifs", wants: []string{
			"nls_utf8", "crypto-aes", "crypto-ccm", "crypto-gcm", "crypto-ctr", "crypto-ghash", "crypto-cmac",
			"crypto-ecb",
			"crypto-hmac", "crypto-md5", "crypto-sha256", "crypto-sha512",
		}},
		{module: "auth_rpcgss", wants: []string{"rpc-auth-gss-krb5"}},
		{module: "rpcsec_gss_krb5", wants: []string{
			"crypto-aes", "crypto-cbc", "crypto-cts", "crypto-ecb", "crypto-hmac", "crypto-sha1", "crypto-sha256",
			"crypto-cmac",
		}},

		// Layers of disks, for programs that --add puts in.
		{module: "dm_crypt", wants: []string{
			"crypto-aes", "crypto-xts", "crypto-ecb", "crypto-cbc", "crypto-essiv", "crypto-hmac", "crypto-sha256",
		}},
		{module: "dm_integrity", wants: []string{"crypto-crc32c", "crypto-hmac", "crypto-sha256"}},
		{module: "dm_verity", wants: []string{"crypto-sha256"}},

		// Adapters of disks, and the disks.
		{module: "drivers/scsi/", wants: []string{"sd_mod"}},
		{module: "drivers/ata/", wants: []string{"sd_mod"}},
		{module: "drivers/ufs/", wants: []string{"sd_mod"}},
		{module: "drivers/message/fusion/", wants: []string{"sd_mod"}},
		{module: "drivers/usb/storage/", wants: []string{"sd_mod"}},
		{module: "drivers/mmc/host/", wants: []string{"mmc_block"}},

		// PHYs. phylib asks for "mdio:" and the identifier when a bus is scanned, and
		// takes a driver for any PHY when there is none (phy_request_driver_module
		// in drivers/net/phy/phy_device.c).
		{module: "tg3", wants: []string{"broadcom"}, first: true},
		{module: "bcmgenet", wants: []string{"broadcom", "bcm7xxx"}, first: true},
		{module: "r8169", wants: []string{"realtek"}, first: true},
		{module: "fec", wants: []string{"micrel", "smsc", "at803x", "realtek"}, first: true},
		{module: "macb", wants: []string{"micrel", "marvell"}, first: true},
		{module: "mvneta", wants: []string{"marvell"}, first: true},
		{module: "mvpp2", wants: []string{"marvell", "marvell10g"}, first: true},
		{module: "stmmac", wants: []string{"marvell", "micrel", "motorcomm", "realtek"}, first: true},
		{module: "lan743x", wants: []string{"microchip", "micrel"}, first: true},
		{module: "lan78xx", wants: []string{"microchip"}, first: true},
		{module: "smsc95xx", wants: []string{"smsc"}, first: true},
		{module: "asix", wants: []string{"ax88796b"}, first: true},
	}
}

// of reports whether an entry is about a module; path is below the root.
func (e Extra) of(name, path string) bool {
	if strings.HasSuffix(e.module, "/") {
		return strings.Contains(path, "/kernel/"+e.module)
	}
	return e.module == name
}

// Weakdeps reads modules.weakdep (depmod since kmod 33): lines "weakdep MODULE
// OTHER", which are for those who make images.
func Weakdeps(fsys fs.FS, release string) []Extra {
	text, err := fs.ReadFile(fsys, initramfs.ModulesDir+"/"+release+"/modules.weakdep")
	if err != nil {
		return nil // most trees have none
	}
	var list []Extra
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 3 && words[0] == "weakdep" {
			list = append(list, Extra{module: ko.ModuleName(words[1]), wants: words[2:]})
		}
	}
	return list
}

// Extend adds what the modules of an image want besides, and what that wants
// in turn.
func Extend(x *modload.Index, mods map[string]modload.Module, table []Extra) error {
	asked := make(map[string]bool)
	for {
		var names []string
		for _, m := range mods {
			for _, e := range table {
				if !e.of(m.Name, m.Path) {
					continue
				}
				for _, want := range e.wants {
					if !asked[want] {
						asked[want] = true
						names = append(names, want)
					}
				}
			}
		}
		if names == nil {
			return nil
		}
		have, _ := x.Absent(names)
		more, err := x.Resolve(have...)
		if err != nil {
			return fmt.Errorf("what modules ask for at run time: %w", err)
		}
		for _, m := range more {
			mods[m.Name] = m
		}
	}
}

// firstExtras are lines of modules.softdep for what must be loaded before a module
// that asks for it.
func firstExtras(keep func(module string) bool) string {
	var out strings.Builder
	for _, e := range Extras() {
		wants := slices.DeleteFunc(e.wants, func(m string) bool { return !keep(m) })
		if e.first && keep(e.module) && len(wants) > 0 {
			fmt.Fprintf(&out, "softdep %s pre: %s\n", e.module, strings.Join(wants, " "))
		}
	}
	return out.String()
}
