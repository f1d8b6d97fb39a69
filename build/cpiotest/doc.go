// Package cpiotest makes archives for tests entry by entry, also such as nodisk would not write.
package cpiotest
