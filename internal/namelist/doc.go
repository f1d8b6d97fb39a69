// Package namelist sorts, splits and shortens lists of names.
package namelist
