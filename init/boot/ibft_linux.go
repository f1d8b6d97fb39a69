package boot

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/ibft"
)

// networkConfig is the plan's, with what the firmware's table says for ip=ibft.
func (w *worker) networkConfig(ctx context.Context) (netsetup.Config, error) {
	w.findFirmware(ctx)
	conf, err := w.plan.Network.WithIBFT(kernfile.DirFS("/sys"))
	if err != nil {
		if _, ok := errors.AsType[*cmdline.ValueError](err); ok {
			return conf, plan.Permanent(err) // the table stays as it is
		}
		return conf, err
	}
	w.firmwareName = conf.InitiatorName
	if len(conf.VLANs) > len(w.plan.Network.VLANs) {
		if err := w.loader.Request(ctx, plan.Requests("vlan", modload.StageNetwork)...); err != nil {
			return conf, unlessCurable(err)
		}
	}
	return conf, nil
}

// findFirmware has the kernel look for the firmware's table in low memory when one
// is wanted and ACPI has none. Without the module there is none then, which is
// told where it is missed.
func (w *worker) findFirmware(ctx context.Context) {
	if !w.plan.Network.UsesIBFT() && !w.plan.Firmware || ibft.Visible(kernfile.DirFS("/sys")) {
		return
	}
	if _, err := w.index.Resolve("iscsi_ibft"); err != nil {
		w.log.Debug("the image has no module to look for the firmware's table in low memory", "err", err)
		return
	}
	module := modload.Request{Name: "iscsi_ibft", Stage: modload.StageDrivers, Optional: true}
	if err := w.loader.Request(ctx, module); err != nil {
		w.log.Warn(fmt.Sprintf("look for the firmware's iBFT: %v", err))
	}
}

// firmwareTargets are the targets of the firmware's table, none when there is no
// table. They are several ways to one boot disk. Those that cannot be used are
// told; it is an error if there is no other. The network is up, so that
// findFirmware has been called.
func (w *worker) firmwareTargets() ([]iscsi.Target, error) {
	t, err := ibft.Read(kernfile.DirFS("/sys"))
	_, damaged := errors.AsType[*ibft.DamagedError](err)
	switch {
	case errors.Is(err, ibft.ErrNone):
		return nil, nil
	case damaged:
		return nil, plan.Permanent(err) // the table stays as it is
	case err != nil:
		return nil, err
	}
	if iscsi.ValidateName(t.Initiator) == nil {
		w.firmwareName = t.Initiator
	}
	usable, problems, err := plan.FirmwareTable(t)
	for _, p := range problems {
		w.log.Warn(p.Error())
	}
	return usable, err
}
