package rootfs

import "context"

// Modules is what a mount needs to know about kernel modules. The zero value leaves all of it to
// the kernel, which is right outside an initramfs.
type Modules struct {
	// Available reports whether a module can be loaded or is built in. Nil: yes.
	Available func(module string) bool
	// Load loads a module and returns when it is ready, nil when it already was. Nil: nothing is loaded.
	Load func(ctx context.Context, module string) error
}

func (m Modules) available(module string) bool {
	return m.Available == nil || m.Available(module)
}

func (m Modules) load(ctx context.Context, module string) error {
	if m.Load == nil {
		return nil
	}
	return m.Load(ctx, module)
}
