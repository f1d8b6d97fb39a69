package link

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteDel deletes a route of the main table. The kernel has
// deleted some already, with an address.
func (Kernel) RouteDel(r RouteDel) error {
	route, err := routeOf(Route(r))
	if err != nil {
		return err
	}
	if err := netlink.RouteDel(route); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// RouterMetric sets the metric of routes that router advertisements bring.
func (Kernel) RouterMetric(dev string, metric int) error {
	return setRouterMetric(sysctl6, dev, metric)
}

// setRouterMetric does it below root. A kernel without IPv6 takes no routes.
func setRouterMetric(root, dev string, metric int) error {
	at := root + "/conf/" + dev
	err := writeSetting(at+"/ra_defrtr_metric", strconv.Itoa(metric))
	if errors.Is(err, fs.ErrNotExist) {
		err = writeSetting(at+"/accept_ra_defrtr", "0")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeSetting writes a file of /proc/sys, where creating a missing one is refused (EACCES).
func writeSetting(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
