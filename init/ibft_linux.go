package boot

import (
	"errors"
	"os"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// networkConfig is the plan's, with what the firmware's table says for ip=ibft.
func (w *worker) networkConfig() (netsetup.Config, error) {
	conf, err := w.plan.Network.WithIBFT(os.DirFS("/sys"))
	if err != nil {
		if _, ok := errors.AsType[*cmdline.ValueError](err); ok {
			return conf, permanent(err) // the table stays as it is
		}
		return conf, err
	}
	w.firmwareName = conf.InitiatorName
	return conf, nil
}
