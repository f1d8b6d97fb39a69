// Package buildtest is what tests of images need: reference programs, a kernel, small module trees and kernels' files.
package buildtest
