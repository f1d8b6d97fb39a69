package lab

// refusal says what to do where the kernel makes no namespaces for this user. It reads
// sysctls; one that the kernel does not have is empty.
func refusal(sysctl func(name string) string) string {
	for _, s := range []struct{ name, value, why, remedy string }{
		{
			"user.max_user_namespaces", "0", "user namespaces are switched off",
			"sysctl -w user.max_user_namespaces=10000",
		},
		// Debian's, until bookworm.
		{
			"kernel.unprivileged_userns_clone", "0", "only root may make user namespaces",
			"sysctl -w kernel.unprivileged_userns_clone=1",
		},
		// Ubuntu's, from 23.10 on: the namespace is made, and is worth nothing.
		{
			"kernel.apparmor_restrict_unprivileged_userns", "1", "AppArmor restricts user namespaces",
			"sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
		},
	} {
		if sysctl(s.name) == s.value {
			return s.why + " here: run it as root (sudo), or once, as root: " + s.remedy
		}
	}
	return "run it as root (sudo); in a container that wants CAP_SYS_ADMIN"
}
