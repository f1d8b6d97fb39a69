// Package site reads what a site has written down about its images, so that nobody
// has to say it again: flags of nodisk build in YAML files, by their long names.
//
//	/etc/nodisk/build.yaml       flags of every build
//	/etc/nodisk/images.d/*.yaml  the images of the site, one a file, named after it
//
// [Read] turns these files into settings, [ReadList] the list of nodisk build --images,
// [Merge] puts settings on top of each other, and [Settings.Args] spells them as the
// command line would have them. Which flags there are, and which of them take paths, is
// told to the package by a [Schema]: it knows none by itself.
//
// Every setting keeps the file and the line it was written in, and every error names
// them. All errors of all files are reported at once.
//
// [Record] is the memory of what was made for which kernel, so that it can be removed
// with the kernel.
package site
