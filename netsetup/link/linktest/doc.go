// Package linktest is devices and arguments of links, for tests.
package linktest
