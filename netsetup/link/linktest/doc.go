// Package linktest is what tests of links have in common.
package linktest
