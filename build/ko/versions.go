package ko

import (
	"bytes"
	"errors"
)

// A versionTable is what a module knows of the CRCs of its imports.
type versionTable struct {
	form    VersionForm
	entries []version
	byName  map[string]int
}

type version struct {
	name  string
	crc   uint32
	taken bool
}

// versionSize is the length of struct modversion_info: an unsigned long, and
// the name up to here.
const versionSize = 64

// versions reads both forms. What stands in one only is taken from there:
// modpost leaves names that are too long for the basic form to the extended one.
func (o *object) versions() (*versionTable, error) {
	v := &versionTable{}
	basic := o.section("__versions")
	if len(basic)%versionSize != 0 {
		return nil, errors.New("its section __versions is not a whole number of versions")
	}
	crcs, names := o.section("__version_ext_crcs"), o.section("__version_ext_names")
	if len(crcs)%4 != 0 {
		return nil, errors.New("its section __version_ext_crcs is not a whole number of CRCs")
	}
	n := len(basic)/versionSize + len(crcs)/4
	v.entries, v.byName = make([]version, 0, n), make(map[string]int, n)
	long := 4
	if o.wide {
		long = 8
	}
	for ; len(basic) > 0; basic = basic[versionSize:] {
		v.form |= BasicVersions
		name, _, _ := bytes.Cut(basic[long:versionSize], []byte{0})
		v.add(name, uint32(o.word(basic))) //nolint:gosec // a CRC in an unsigned long
	}
	for ; len(crcs) > 0; crcs = crcs[4:] {
		v.form |= ExtendedVersions
		name, rest, ok := bytes.Cut(names, []byte{0})
		if !ok {
			return nil, errors.New("its section __version_ext_names has fewer names than __version_ext_crcs has CRCs")
		}
		names = rest
		v.add(name, o.order.Uint32(crcs))
	}
	return v, nil
}

func (v *versionTable) add(name []byte, crc uint32) {
	// On PowerPC code entries have a dot before their name.
	name = bytes.TrimPrefix(name, []byte{'.'})
	if len(name) == 0 || len(name) > nameMax {
		return
	}
	if _, twice := v.byName[string(name)]; twice {
		return // the basic form counts
	}
	s := string(name)
	v.byName[s] = len(v.entries)
	v.entries = append(v.entries, version{name: s, crc: crc})
}

// take returns the CRC of an undefined symbol.
func (v *versionTable) take(name []byte) (crc uint32, ok bool) {
	name = bytes.TrimPrefix(name, []byte{'.'})
	i, ok := v.byName[string(name)]
	if !ok {
		return 0, false
	}
	v.entries[i].taken = true
	return v.entries[i].crc, true
}

// rest are versions that no undefined symbol stands for, such as that of
// module_layout, which the kernel checks all the same.
func (v *versionTable) rest() []Import {
	var list []Import
	for i := range v.entries {
		if e := &v.entries[i]; !e.taken {
			list = append(list, Import{Name: e.name, CRC: e.crc, HasCRC: true})
		}
	}
	return list
}
