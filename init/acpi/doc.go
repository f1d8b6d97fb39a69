// Package acpi switches a machine off by its ACPI registers, for a kernel that does not
// come down by reboot(2) because one of its own threads holds it. It reads what it needs,
// the registers and the values of sleep state S5, from the tables that the kernel shows
// (ACPI 6.5, sections 5.2.9 and 7.4.2).
package acpi
