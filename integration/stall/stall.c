// SPDX-License-Identifier: GPL-2.0
/*
 * stall: a driver that takes its time. It claims the watchdog of Intel's 6300ESB,
 * which QEMU has as "-device i6300esb" and no boot needs, and stays in its probe
 * for as long as it is told, where no signal reaches it: as an HBA does that scans
 * an empty fabric, or a card that waits for firmware which never answers.
 * For tests only.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static unsigned int probe_secs = 60;
module_param(probe_secs, uint, 0444);
MODULE_PARM_DESC(probe_secs, "seconds in the probe of a device; 100000 is forever (default 60)");

static unsigned int init_secs;
module_param(init_secs, uint, 0444);
MODULE_PARM_DESC(init_secs, "seconds in the module's init, before the driver is registered (default 0)");

static bool async;
module_param(async, bool, 0444);
MODULE_PARM_DESC(async, "let the kernel probe in a thread of its own, as NVMe's driver does (default no)");

static int stall_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	pci_info(dev, "stall: in the probe for %u s\n", probe_secs);
	/* Not interruptible, and not one sleep: the kernel would warn of a hung task. */
	for (unsigned int s = 0; s < probe_secs; s++)
		msleep(1000);
	pci_info(dev, "stall: probed\n");
	return 0;
}

static void stall_remove(struct pci_dev *dev)
{
}

static const struct pci_device_id stall_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, PCI_DEVICE_ID_INTEL_ESB_9) },
	{ }
};
MODULE_DEVICE_TABLE(pci, stall_ids);

static struct pci_driver stall_driver = {
	.name = "stall",
	.id_table = stall_ids,
	.probe = stall_probe,
	.remove = stall_remove,
};

static int __init stall_init(void)
{
	for (unsigned int s = 0; s < init_secs; s++)
		msleep(1000);
	if (async)
		stall_driver.driver.probe_type = PROBE_PREFER_ASYNCHRONOUS;
	return pci_register_driver(&stall_driver);
}

static void __exit stall_exit(void)
{
	pci_unregister_driver(&stall_driver);
}

module_init(stall_init);
module_exit(stall_exit);
MODULE_DESCRIPTION("A driver that takes its time, for tests");
MODULE_LICENSE("GPL");
