// SPDX-License-Identifier: GPL-2.0
/*
 * What a test may ask for, when the module is loaded or while it runs.  Those
 * that can be written are changed by writing to /sys/module/softib/parameters,
 * or by an order that comes over the cable (order.c): both end in sib_param_set.
 * A change only wakes the work of cable.c, which brings the HCAs in line with it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "softib.h"

char *sib_netdev[SIB_MAX_CABLES] = { "eth0" };
int sib_nnetdev = 1;
module_param_array_named(netdev, sib_netdev, charp, &sib_nnetdev, 0444);
MODULE_PARM_DESC(netdev, "the cables, a port each: names or MAC addresses of Ethernet devices, may appear later (eth0)");

unsigned int sib_nports = 1;
module_param_named(ports, sib_nports, uint, 0444);
MODULE_PARM_DESC(ports, "of each HCA: 2 puts the second cable onto the first HCA as its port 2 (1)");

static unsigned long long sib_guid[SIB_MAX_CABLES];
static int sib_nguid;
module_param_array_named(guid, sib_guid, ullong, &sib_nguid, 0444);
MODULE_PARM_DESC(guid, "GUIDs of ports unless portguid is given, and of nodes that of their first port, 0x..., in the order of netdev; 0: 02:50:49:03:00 and the last 3 bytes of the cable's MAC address");

static bool sib_sa = true;
module_param_named(sa, sib_sa, bool, 0444);
MODULE_PARM_DESC(sa, "1: built-in subnet manager and SA, a port is ACTIVE with its cable; 0: wait for a real one");

static unsigned int sib_maxmtu = 2048;
module_param_named(maxmtu, sib_maxmtu, uint, 0444);
MODULE_PARM_DESC(maxmtu, "bytes in the largest packet that a port can carry: 256, 512, 1024, 2048 or 4096");

static unsigned int sib_groupmtu = 2048;
module_param_named(groupmtu, sib_groupmtu, uint, 0444);
MODULE_PARM_DESC(groupmtu, "with sa=1: bytes in the largest packet of a multicast group, in the same steps");

static bool sib_connected = true;
module_param_named(connected, sib_connected, bool, 0444);
MODULE_PARM_DESC(connected, "0: ib_ipoib refuses connected mode on these ports");

bool sib_debug;
module_param_named(debug, sib_debug, bool, 0644);
MODULE_PARM_DESC(debug, "log every packet and every management datagram");

/* What can be written.  Innermost of the mutexes: nothing is taken under it. */
static DEFINE_MUTEX(sib_params_lock);
static u16 sib_pkey0 = IB_DEFAULT_PKEY_FULL;
static u16 sib_pkeys[SIB_PKEYS - 1];
static int sib_npkeys;
static u64 sib_portguid[SIB_MAX_CABLES];
static bool sib_has_portguid[SIB_MAX_CABLES];
static bool sib_gone[SIB_MAX_CABLES];
static u32 sib_events;
static bool sib_running;	/* between init and exit: the work can be woken */

/*
 * Calls each with every word of a list, its place and arg.  Empty words count as
 * places: "0,,1" has three.
 */
static int sib_each_word(const char *val, int max, int (*each)(const char *word, int i, void *arg),
			 void *arg)
{
	char *text, *rest, *word;
	int i, ret = 0;

	text = kstrdup(val, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	rest = strim(text);
	if (!*rest)
		rest = NULL;			/* no word, not an empty one */
	for (i = 0; !ret && (word = strsep(&rest, ",")) != NULL; i++) {
		if (i == max) {
			pr_err("there are more than %d words in '%s'\n", max, val);
			ret = -EINVAL;
			break;
		}
		ret = each(strim(word), i, arg);
	}
	kfree(text);
	return ret;
}

/* Under sib_params_lock, after a change. */
static void sib_changed(void)
{
	/* The file in /sys outlives the exit function by a moment. */
	if (sib_running)
		sib_cable_sync();
}

/* ---- the P_Key table ---- */

/* Under sib_params_lock. */
static int sib_pkeys_writable(const char *name)
{
	if (!sib_running || sib_sa)
		return 0;
	pr_err("%s: with sa=0 the table belongs to the subnet manager\n", name);
	return -EPERM;
}

struct sib_pkey_list {
	u16	keys[SIB_PKEYS - 1];
	int	n;
};

static int sib_pkey_word(const char *word, int i, void *arg)
{
	struct sib_pkey_list *list = arg;
	u16 key;

	if (!*word)
		return 0;
	if (kstrtou16(word, 0, &key) || !(key & 0x7fff)) {
		pr_err("pkeys: '%s' is not a P_Key, 0x8001 would be one\n", word);
		return -EINVAL;
	}
	list->keys[list->n++] = key;
	return 0;
}

static int sib_pkeys_set(const char *val, const struct kernel_param *kp)
{
	struct sib_pkey_list list = {};
	int ret = sib_each_word(val, ARRAY_SIZE(list.keys), sib_pkey_word, &list);

	if (ret)
		return ret;
	mutex_lock(&sib_params_lock);
	ret = sib_pkeys_writable("pkeys");
	if (!ret) {
		memcpy(sib_pkeys, list.keys, sizeof(sib_pkeys));
		sib_npkeys = list.n;
		sib_changed();
	}
	mutex_unlock(&sib_params_lock);
	return ret;
}

static int sib_pkeys_get(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	mutex_lock(&sib_params_lock);
	for (i = 0; i < sib_npkeys; i++)
		len += sysfs_emit_at(buf, len, "%s0x%04x", i ? "," : "", sib_pkeys[i]);
	mutex_unlock(&sib_params_lock);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops sib_pkeys_ops = { .set = sib_pkeys_set, .get = sib_pkeys_get };
module_param_cb(pkeys, &sib_pkeys_ops, NULL, 0644);
__MODULE_PARM_TYPE(pkeys, "array of ushort");
MODULE_PARM_DESC(pkeys, "P_Key table after its first entry: 0x8001,0x0002; with sa=1 it may be written later");

static int sib_pkey0_set(const char *val, const struct kernel_param *kp)
{
	u16 key;
	int ret = kstrtou16(val, 0, &key);

	if (ret)
		return ret;
	mutex_lock(&sib_params_lock);
	ret = sib_pkeys_writable("pkey0");
	if (!ret) {
		sib_pkey0 = key;
		sib_changed();
	}
	mutex_unlock(&sib_params_lock);
	return ret;
}

static int sib_pkey0_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "0x%04x\n", READ_ONCE(sib_pkey0));
}

static const struct kernel_param_ops sib_pkey0_ops = { .set = sib_pkey0_set, .get = sib_pkey0_get };
module_param_cb(pkey0, &sib_pkey0_ops, NULL, 0644);
__MODULE_PARM_TYPE(pkey0, "ushort");
MODULE_PARM_DESC(pkey0, "first entry of the P_Key table (0xffff): 0x7fff is a limited member, 0 leaves it empty; with sa=1 it may be written later");

/* ---- GUIDs of ports ---- */

struct sib_guid_list {
	u64	guid[SIB_MAX_CABLES];
	bool	has[SIB_MAX_CABLES];
};

static int sib_guid_word(const char *word, int i, void *arg)
{
	struct sib_guid_list *list = arg;

	if (!*word)
		return 0;
	list->has[i] = true;
	return kstrtou64(word, 0, &list->guid[i]);
}

static int sib_portguid_set(const char *val, const struct kernel_param *kp)
{
	struct sib_guid_list list = {};
	int ret = sib_each_word(val, SIB_MAX_CABLES, sib_guid_word, &list);

	if (ret)
		return ret;
	mutex_lock(&sib_params_lock);
	memcpy(sib_portguid, list.guid, sizeof(sib_portguid));
	memcpy(sib_has_portguid, list.has, sizeof(sib_has_portguid));
	sib_changed();
	mutex_unlock(&sib_params_lock);
	return 0;
}

static int sib_portguid_get(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	mutex_lock(&sib_params_lock);
	for (i = 0; i < SIB_MAX_CABLES; i++) {
		len += sysfs_emit_at(buf, len, "%s", i ? "," : "");
		if (sib_has_portguid[i])
			len += sysfs_emit_at(buf, len, "0x%016llx", sib_portguid[i]);
	}
	mutex_unlock(&sib_params_lock);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops sib_portguid_ops = { .set = sib_portguid_set, .get = sib_portguid_get };
module_param_cb(portguid, &sib_portguid_ops, NULL, 0644);
__MODULE_PARM_TYPE(portguid, "array of ullong");
MODULE_PARM_DESC(portguid, "GUIDs of ports that are not those of their nodes, in the order of netdev, an empty word for none; 0 is the GUID zero of a virtual function that nobody has set up");

/* ---- HCAs that are taken away ---- */

static int sib_gone_word(const char *word, int i, void *arg)
{
	return *word ? kstrtobool(word, (bool *)arg + i) : 0;
}

static int sib_gone_set(const char *val, const struct kernel_param *kp)
{
	bool gone[SIB_MAX_CABLES] = {};
	int ret = sib_each_word(val, SIB_MAX_CABLES, sib_gone_word, gone);

	if (ret)
		return ret;
	mutex_lock(&sib_params_lock);
	memcpy(sib_gone, gone, sizeof(sib_gone));
	sib_changed();
	mutex_unlock(&sib_params_lock);
	return 0;
}

static int sib_gone_get(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	mutex_lock(&sib_params_lock);
	for (i = 0; i < SIB_MAX_CABLES; i++)
		len += sysfs_emit_at(buf, len, "%s%d", i ? "," : "", sib_gone[i]);
	mutex_unlock(&sib_params_lock);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops sib_gone_ops = { .set = sib_gone_set, .get = sib_gone_get };
module_param_cb(gone, &sib_gone_ops, NULL, 0644);
__MODULE_PARM_TYPE(gone, "array of bool");
MODULE_PARM_DESC(gone, "1,0: the first HCA is unregistered, the second is there; 0 registers it again");

/* ---- events ---- */

/* Those that change nothing of the port: a subnet manager has begun again. */
static int sib_event_word(const char *word, int i, void *arg)
{
	static const struct { const char *name; enum ib_event_type type; } known[] = {
		{ "sm_change", IB_EVENT_SM_CHANGE },
		{ "client_reregister", IB_EVENT_CLIENT_REREGISTER },
	};
	u32 *events = arg;
	int k;

	for (k = 0; k < ARRAY_SIZE(known); k++) {
		if (!strcmp(word, known[k].name)) {
			*events |= BIT(known[k].type);
			return 0;
		}
	}
	pr_err("event: '%s' is neither sm_change nor client_reregister\n", word);
	return -EINVAL;
}

static int sib_event_set(const char *val, const struct kernel_param *kp)
{
	u32 events = 0;
	int ret = sib_each_word(val, 2, sib_event_word, &events);

	if (ret)
		return ret;
	mutex_lock(&sib_params_lock);
	sib_events |= events;
	sib_changed();
	mutex_unlock(&sib_params_lock);
	return 0;
}

static const struct kernel_param_ops sib_event_ops = { .set = sib_event_set };
module_param_cb(event, &sib_event_ops, NULL, 0200);
__MODULE_PARM_TYPE(event, "sm_change,client_reregister");
MODULE_PARM_DESC(event, "write only: the ports report these");

/* ---- for the other files ---- */

/* What may be ordered over the cable.  value ends in a NUL. */
int sib_param_set(const char *name, const char *value)
{
	static const struct { const char *name; const struct kernel_param_ops *ops; } known[] = {
		{ "pkeys", &sib_pkeys_ops }, { "pkey0", &sib_pkey0_ops },
		{ "portguid", &sib_portguid_ops }, { "gone", &sib_gone_ops },
		{ "event", &sib_event_ops },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].ops->set(value, NULL);
	return -ENOENT;
}

/* The place of the cable in netdev= is index; mac is its address. */
u64 sib_own_guid(int index, const u8 *mac)
{
	return sib_guid[index] ?: 0x0250490300000000ull | mac[3] << 16 | mac[4] << 8 | mac[5];
}

void sib_read_fixed(struct sib_hca *hca)
{
	hca->sa = sib_sa;
	hca->max_mtu = ib_mtu_int_to_enum(sib_maxmtu);
	hca->group_mtu = ib_mtu_int_to_enum(sib_groupmtu);
}

/* The P_Key table and the port's GUID, as they are to be now. */
void sib_read_wanted(const struct sib_port *port, u16 *pkeys, u64 *guid)
{
	memset(pkeys, 0, sizeof(*pkeys) * SIB_PKEYS);
	mutex_lock(&sib_params_lock);
	pkeys[0] = sib_pkey0;
	memcpy(pkeys + 1, sib_pkeys, sizeof(*pkeys) * sib_npkeys);
	*guid = sib_has_portguid[port->index] ? sib_portguid[port->index] : port->own_guid;
	mutex_unlock(&sib_params_lock);
}

/* Reports whether that HCA is taken away. */
bool sib_is_gone(int hca)
{
	return READ_ONCE(sib_gone[hca]);
}

bool sib_refuses_connected(void)
{
	return !sib_connected;
}

/* The events that were written since the last time, a set of BIT(IB_EVENT_...). */
u32 sib_take_events(void)
{
	u32 events;

	mutex_lock(&sib_params_lock);
	events = sib_events;
	sib_events = 0;
	mutex_unlock(&sib_params_lock);
	return events;
}

void sib_set_running(bool on)
{
	mutex_lock(&sib_params_lock);
	sib_running = on;
	/* What was written while the module was loaded, after its HCAs were made. */
	sib_changed();
	mutex_unlock(&sib_params_lock);
}

static int __init sib_check_mtu(const char *name, unsigned int mtu)
{
	if (mtu >= 256 && mtu <= 4096 && is_power_of_2(mtu))
		return 0;
	pr_err("%s: %u is none of 256, 512, 1024, 2048 and 4096\n", name, mtu);
	return -EINVAL;
}

/* All that is wrong with the parameters, before anything is touched. */
int __init sib_check_params(void)
{
	int i, ret;

	ret = sib_check_mtu("maxmtu", sib_maxmtu) | sib_check_mtu("groupmtu", sib_groupmtu);
	if (!sib_nports || sib_nports > SIB_MAX_CABLES) {
		pr_err("ports: %u, an HCA has 1 to %d\n", sib_nports, SIB_MAX_CABLES);
		ret = -EINVAL;
	}
	for (i = 0; i < sib_nnetdev; i++) {
		if (!*sib_netdev[i]) {
			pr_err("netdev: entry %d is empty, eth0,eth1 would be two cables\n", i + 1);
			ret = -EINVAL;
		}
	}
	if (sib_nguid > sib_nnetdev) {
		pr_err("guid: there are %d for %d cables\n", sib_nguid, sib_nnetdev);
		ret = -EINVAL;
	}
	return ret;
}
