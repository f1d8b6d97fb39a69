package build

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/quantity"
)

// stripSignatures drops the signatures of modules, which a kernel checks at 5 to 6 ms
// a module plus 0.1 s a MB on slow machines. A kernel that insists on them is refused.
func (b *builder) stripSignatures(ctx context.Context, files []initramfs.Entry) error {
	if !b.spec.StripSignatures {
		return nil
	}
	config, err := b.kernel.AnyConfig(ctx)
	if err != nil {
		return fmt.Errorf("strip signatures: %w", err)
	}
	if insists := insisting(config); insists != nil {
		return fmt.Errorf("strip signatures: the kernel loads signed modules only (%s): build without "+
			"--strip-signatures", strings.Join(insists, ", "))
	}
	count, saved := 0, 0
	for i, f := range files {
		if plain := ko.Unsigned(f.Data); f.Part == initramfs.PartModules && len(plain) < len(f.Data) {
			count++
			saved += len(f.Data) - len(plain)
			files[i].Data = plain
		}
	}
	if count == 0 {
		b.report.Notes = append(b.report.Notes, "--strip-signatures: no module has one")
		return nil
	}
	note := fmt.Sprintf("%s without signature (%d bytes): the kernel is tainted (E), and refuses them under lockdown "+
		"(Secure Boot, lockdown=) or module.sig_enforce=1",
		quantity.Plural(count, "module"), saved)
	if config == nil {
		note += fmt.Sprintf("; whether it is built to insist on signatures is not known: config-%s does not "+
			"lie beside it", b.report.Release)
	}
	b.report.Notes = append(b.report.Notes, note)
	return nil
}

// insisting are the options of a kernel with which it loads no unsigned module
// (kernel/module/Kconfig, security/lockdown/Kconfig).
func insisting(config abi.Kconfig) []string {
	var on []string
	for _, option := range []string{
		"CONFIG_MODULE_SIG_FORCE", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
		"CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
	} {
		if config[option] == "y" {
			on = append(on, option)
		}
	}
	return on
}
