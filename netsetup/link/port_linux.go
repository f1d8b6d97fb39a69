package link

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/kernfile"
)

const sysClassInfiniBand = "/sys/class/infiniband"

// Port reads the state of a port.
func (Kernel) Port(hca string, number int) (PortState, error) {
	return readPort(filepath.Join(sysClassInfiniBand, hca, "ports", strconv.Itoa(number)))
}

func readPort(dir string) (PortState, error) {
	var p PortState
	for _, f := range []struct {
		name string
		to   *string
	}{{"phys_state", &p.Phys}, {"state", &p.State}} {
		b, err := kernfile.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return PortState{}, fmt.Errorf("read state of the InfiniBand port: %w", err)
		}
		*f.to = parsePortWord(string(b))
	}
	if b, err := kernfile.ReadFile(filepath.Join(dir, "gids", "0")); err == nil {
		p.GID = parseGID(string(b))
	}
	tables, err := kernfile.ReadDir(filepath.Join(dir, "pkeys"))
	if err != nil {
		return PortState{}, fmt.Errorf("read partitions of the InfiniBand port: %w", err)
	}
	var entries []string
	for _, t := range tables {
		// An entry that cannot be read now is one that is not there.
		if b, err := kernfile.ReadFile(filepath.Join(dir, "pkeys", t.Name())); err == nil {
			entries = append(entries, string(b))
		}
	}
	p.PKeys = parsePKeys(entries)
	return p, nil
}

// Hcas are the InfiniBand adapters that a driver has bound to.
func (Kernel) Hcas() []string {
	entries, err := kernfile.ReadDir(sysClassInfiniBand)
	if err != nil {
		return nil // no InfiniBand core, no adapters
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// infiniBandPort returns the port that an IPoIB interface is on. The adapter has the same parent
// as the interface; dev_port counts from 0 (Documentation/ABI/testing/sysfs-class-net).
func infiniBandPort(classNet, name string) (hca string, number int) {
	dir := filepath.Join(classNet, name)
	hcas, err := kernfile.ReadDir(filepath.Join(dir, "device", "infiniband"))
	if err != nil || len(hcas) == 0 {
		return "", 0
	}
	b, err := kernfile.ReadFile(filepath.Join(dir, "dev_port"))
	if err != nil {
		return hcas[0].Name(), 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return hcas[0].Name(), 0
	}
	return hcas[0].Name(), n + 1
}
