package boot

import (
	"context"
	"errors"
	"os"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/netsetup"
)

// networkConfig is the plan's, with what the firmware's table says for ip=ibft.
func (w *worker) networkConfig(ctx context.Context) (netsetup.Config, error) {
	conf, err := w.plan.Network.WithIBFT(os.DirFS("/sys"))
	if err != nil {
		if _, ok := errors.AsType[*cmdline.ValueError](err); ok {
			return conf, permanent(err) // the table stays as it is
		}
		return conf, err
	}
	w.firmwareName = conf.InitiatorName
	if len(conf.VLANs) > len(w.plan.Network.VLANs) {
		if err := w.loader.Request(ctx, requests("vlan", modload.StageNetwork)...); err != nil {
			return conf, unlessCurable(err)
		}
	}
	return conf, nil
}
