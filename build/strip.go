package build

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
)

// stripSignatures drops the signatures of modules, which a kernel checks at 5 to 6 ms
// a module plus 0.1 s a MB on slow machines. A kernel that insists on them is refused.
func (b *builder) stripSignatures(files []file) error {
	if !b.spec.StripSignatures {
		return nil
	}
	known, err := signatureRules(b.spec.Kernel, b.report.Release)
	if err != nil {
		return fmt.Errorf("strip signatures: %w", err)
	}
	count, saved := 0, 0
	for i, f := range files {
		if plain := ko.Unsigned(f.data); f.part == PartModules && len(plain) < len(f.data) {
			count++
			saved += len(f.data) - len(plain)
			files[i].data = plain
		}
	}
	if count == 0 {
		b.report.Notes = append(b.report.Notes, "--strip-signatures: no module has one")
		return nil
	}
	note := fmt.Sprintf("%s without signature (%d bytes): the kernel is tainted (E), and refuses them under lockdown (Secure Boot, lockdown=) or module.sig_enforce=1",
		plural(count, "module"), saved)
	if !known {
		note += fmt.Sprintf("; whether it is built to insist on signatures is not known: config-%s does not lie beside it", b.report.Release)
	}
	b.report.Notes = append(b.report.Notes, note)
	return nil
}

// signatureRules reads the config beside a kernel; false if there is none. It
// returns an error if unsigned modules would not load.
func signatureRules(kernel, release string) (bool, error) {
	if kernel == "" {
		return false, nil
	}
	for _, name := range []string{"config-" + release, "config"} {
		at := filepath.Join(filepath.Dir(kernel), name)
		f, err := os.Open(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		defer f.Close() //nolint:errcheck // nothing was written
		var insists []string
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			key, ok := strings.CutSuffix(strings.TrimSpace(lines.Text()), "=y")
			if ok && slices.Contains(forcingOptions(), key) {
				insists = append(insists, key)
			}
		}
		if err := lines.Err(); err != nil {
			return false, fmt.Errorf("read %s: %w", at, err)
		}
		if insists != nil {
			return true, fmt.Errorf("the kernel loads signed modules only (%s in %s): build without --strip-signatures", strings.Join(insists, ", "), at)
		}
		return true, nil
	}
	return false, nil
}

// forcingOptions are the options of a kernel with which it loads no unsigned
// module (kernel/module/Kconfig, security/lockdown/Kconfig).
func forcingOptions() []string {
	return []string{"CONFIG_MODULE_SIG_FORCE", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY"}
}
