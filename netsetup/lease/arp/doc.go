// Package arp is the packets of ARP (RFC 826) and RARP (RFC 903) for IPv4 as bytes, for
// Ethernet and for InfiniBand (RFC 4391 section 9). Whom to ask, and when, package lease
// decides; bringup has the sockets.
package arp
