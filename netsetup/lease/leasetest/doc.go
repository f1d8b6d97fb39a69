// Package leasetest is answers of DHCP servers, good and hostile, for tests.
package leasetest
