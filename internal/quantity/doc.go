// Package quantity prints sizes and numbers of things.
package quantity
