// Package magic tells files by their first bytes.
package magic
