# "make help" lists the targets: each has its line, after two hashes.
# boot, test and bench install the Debian packages they need when they run as
# root, and otherwise print the command that does.

GO       ?= go
FUZZTIME ?= 1800
RUNS     ?= 3
N        ?= 100
SEED     ?= 1

kernel_dir = .cache/kernel
kernel_arm64 = .cache/kernel-arm64
kernel_other = .cache/kernel-other
kernel_oldest = .cache/kernel-oldest
kernel_newest = .cache/kernel-newest
lint       = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# What nodisk --version says: the go command itself stamps no build in a work tree of git.
stamp      = $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null | sed 's/^\([0-9a-f]\{12\}\)\(-dirty\)\{0,1\}$$/commit \1\2/')
static     = CGO_ENABLED=0 $(GO) build -trimpath -ldflags="-s -w -X 'main.stamp=$(stamp)'"
# The flags that u-root's mkuimage compiles with, so that `nodisk build` makes
# the same image from source. Nothing is inlined: with the standard library inlined /init
# is 6 % larger in lz4, and a boot is at most 13 ms of guest time quicker.
init       = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -gcflags=all=-l -ldflags="-s -w -buildid="
# The race detector needs a C compiler.
race       = $(shell command -v gcc >/dev/null 2>&1 && echo -race)
part       = @scripts/part
# Seconds of fuzzing in make test, the building included.
fuzz_in_test = 200
# Tests of packages build, build/compress and cmd/nodisk.
large      = ^TestCheckDistribution$$|^TestBaseImagesOfOthers$$|^TestCompressReference$$|^TestLZ4IsSmaller$$|^TestAddSparse$$|^TestAddReproducible$$|^TestBuildFromSource$$|^TestHostileImages$$|^TestPlanCommand$$/^intel$$
# More that make check leaves out: what waits for a network by the clock, and what is
# compared with the tools of a distribution, for all of a kernel's modules.
slow       = ^TestUp(BadCable|Storm|StormPing|StormLossy|HostileServers|HostileForEver|NothingYet|Servers|LateServer|Limits)$$|^TestRunAsDepmod$$|^TestBinaryAsDepmod$$|^TestQuickAsRun$$|^TestConfAsModprobe$$|^TestEveryAliasAsModprobe$$|^TestAddRealRoot$$|^TestReleased$$|^TestUnpackKernel$$|^TestBaseCompressions$$|^TestInfiniBandOffered$$
# Tests of a distribution's modules, and of all compressions with each other: much data
# through code that the packages' other tests run with the race detector. What only these
# reach, by coverage, starts no goroutine and shares nothing with one.
whole      = ^TestMixedKernels$$|^TestReducedIndexes$$|^TestAddRealRoot$$|^TestBaseCompressions$$|^TestUnpacks$$|^TestExtras$$|^TestInspectSegments$$|^TestBlocksOf$$|^TestFilesBySize$$|^TestQuickAsRun$$|^TestRunAsDepmod$$|^TestBinaryAsDepmod$$|^TestInfiniBandOffered$$
# The tests of cmd/nodisk that start goroutines; scripts/concurrent lists the other packages.
concurrent = ^Test(Images|Signals|Site|Several|SecondSignal|ClosedPipe|Pipes)

.PHONY: help check checks format unit-quick kernel-package man all boot test soak bench build packages kernel kernel-other kernel-oldest kernel-newest kernel-arm64 rescue headers softib stall debian vet lint unit unit-race unit-plain race fuzz boot-test-files boot-tests clean

all: build

help: ## this list
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Left out are boots, fuzzing, the race detector, and of the unit tests those that pack
# megabytes, wait for a network by the clock, or compare all of a kernel's modules.
check: kernel-other headers ## every day, under three minutes: lint, and unit tests that are quick
	$(part) lint $(MAKE) --no-print-directory lint
	$(part) unit-quick $(MAKE) --no-print-directory unit-quick

boot: packages kernel build ## bake an image and boot a diskless node with it, in QEMU
	@bin/nodisk build --kernel $(kernel_dir)/vmlinuz --modules $(kernel_dir) --profile virt,iscsi,ext4 --out .cache/boot.img
	@bin/nodisk boot --pxe --kernel $(kernel_dir)/vmlinuz .cache/boot.img

# What the tests of boots need is mostly fetched: that waits, beside what computes, and has
# the lower priority, because tests of the network have limits of time. Only this make
# builds bin/nodisk: it may not be replaced while it is used.
test: packages kernel kernel-other headers ## everything that is checked: vet, lint, unit tests, fuzzing, boots
	@$(MAKE) --no-print-directory build
	@mkdir -p .cache; nice -n 10 $(MAKE) --no-print-directory -j3 BUILT=1 boot-test-files >.cache/boot-test-files.log 2>&1 & files=$$!; \
		$(MAKE) --no-print-directory checks; status=$$?; \
		[ $$status = 0 ] || kill $$files 2>/dev/null; \
		wait $$files || { [ $$status != 0 ] || { cat .cache/boot-test-files.log >&2; status=2; }; }; exit $$status
	$(part) boot-tests $(MAKE) --no-print-directory BUILT=1 boot-tests
	@echo "make test: all parts passed"

# Quick ones first, one after the other, also under make -j.
checks:
	$(part) vet $(MAKE) --no-print-directory vet
	$(part) lint $(MAKE) --no-print-directory lint
	$(part) unit $(MAKE) --no-print-directory unit
	$(part) fuzz $(MAKE) --no-print-directory fuzz FUZZTIME=$(fuzz_in_test)

bench: packages kernel build stall ## how long the initramfs takes, how big it is: bench.json
	@$(GO) run ./integration/bench -nodisk bin/nodisk -kernel $(kernel_dir) -runs $(RUNS) -out bench.json

# A boot that ends wrong prints how to repeat it; the table comes last.
soak: packages kernel build stall ## N boots (100) with a fault each, of the storm of SEED
	@rm -f .cache/storm.txt
	@NODISK_STORM_SEED=$(SEED) NODISK_STORM_N=$(N) NODISK_STORM_TABLE=$(CURDIR)/.cache/storm.txt NODISK_TEST_STRICT=1 \
		$(GO) test -count=1 -timeout $$(($(N) + 30))m -run '^TestStorm$$' ./integration; \
		status=$$?; [ ! -f .cache/storm.txt ] || cat .cache/storm.txt; exit $$status

# Several steps, because bin/nodisk carries /init, for both architectures.
build: ## bin/nodisk, the command, with /init inside
	@mkdir -p build/program/embedded bin
	@rm -f build/program/embedded/nodisk-init*
	@GOARCH=amd64 $(init) -o build/program/embedded/nodisk-init ./cmd/nodisk-init
	@GOARCH=arm64 $(init) -o build/program/embedded/nodisk-init-arm64 ./cmd/nodisk-init
	@$(GO) run ./build/packinit build/program/embedded/nodisk-init build/program/embedded/nodisk-init-arm64
	@$(static) -tags embedinit -o bin/nodisk ./cmd/nodisk

man: build ## manual pages, in man/
	@mkdir -p man
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) bin/nodisk man --dir man

packages: ## install the Debian packages of scripts/packages.list, or print how
	@scripts/packages

kernel: ## fetch a kernel to .cache/kernel
	@scripts/fetch-kernel $(kernel_dir)

# Another kernel of the same version, whose modules the first refuses.
kernel-other: kernel ## another of the same version, whose modules the first refuses
	@scripts/fetch-kernel $(kernel_other) other

# The ends of what Debian's mirror offers.
kernel-oldest: packages ## the oldest that Debian's mirror offers
	@scripts/fetch-kernel $(kernel_oldest) oldest

kernel-newest: packages ## the newest that Debian's mirror offers
	@scripts/fetch-kernel $(kernel_newest) newest

# For a node of another architecture.
kernel-arm64: ## one for another architecture
	@scripts/fetch-kernel-arm64 $(kernel_arm64)

# The rescue shell is compiled from a Go module, once, into the user's cache.
rescue: kernel $(if $(BUILT),,build) ## compile the rescue shell once, into the user's cache
	@bin/nodisk build --kernel $(kernel_dir)/vmlinuz --modules $(kernel_dir) --profile virt --rescue --out .cache/rescue.img >/dev/null

# A kernel as Debian's packages bring it, for the hooks that packages run.
kernel-package: packages ## one as its Debian package brings it
	@scripts/fetch-kernel-package .cache/kernel-package

headers: kernel ## headers of the kernel, for softib and stall
	@KERNEL=$(kernel_dir) scripts/fetch-headers .cache/headers

# The software InfiniBand HCA of the lab, for the kernel in .cache/kernel.
softib: headers ## the software InfiniBand adapter of the lab
	@scripts/build-module integration/softib .cache/headers .cache/softib

# The driver that takes its time.
stall: headers ## the driver that takes its time
	@scripts/build-module integration/stall .cache/headers .cache/stall

# Stock trees, for what happens behind the switch.
debian: .cache/debian-bookworm.tar .cache/debian-trixie.tar ## stock Debian trees, as roots

.cache/debian-%.tar: | packages
	@scripts/debian-tree $* $@

vet: ## go vet
	@$(GO) vet ./...

lint: ## golangci-lint, with the arrows between packages
	@$(GO) run $(lint) run ./...

format: ## mend what gofumpt and goimports say
	@$(GO) run $(lint) fmt ./...

# The race detector makes what packs and reads megabytes ten times slower: those tests
# run without it, beside the others, which leave a processor to them. Each test runs once.
unit: kernel-other headers ## unit tests, with the race detector where there are goroutines
	@$(MAKE) --no-print-directory -j2 unit-race unit-plain

# The longest packages begin first. Tests of the network mostly wait for it: more of a
# package run side by side than there are processors, and one package more. Vetted it was
# by "make vet".
unit-race:
	@$(GO) test $(race) -skip '$(large)|$(whole)' -vet=off -p $$(($$(nproc) + 1)) -parallel 4 ./netsetup/bringup ./build $$(scripts/concurrent | grep -vxE './(netsetup/bringup|build)')
	@$(GO) test $(race) -run '$(concurrent)' -vet=off ./cmd/nodisk

unit-plain:
	@$(GO) test -vet=off -skip '$(concurrent)' ./cmd/nodisk
	@$(GO) test -vet=off $$($(GO) list -f '.{{slice .ImportPath (len .Module.Path)}}' ./... | grep -vxE "$$(scripts/concurrent | tr '\n' '|')\./integration|\./cmd/nodisk")
	@$(GO) test -vet=off -run '$(large)|$(whole)' ./build/...

# What "make unit" runs without the detector, with it.
race: kernel-other headers ## all unit tests with the race detector, twenty minutes and more
	@$(GO) test $(race) -vet=off -timeout 60m $$($(GO) list ./... | grep -v '/integration$$')

unit-quick:
	@$(GO) test -vet=off -skip '$(large)|$(slow)' -parallel 4 -p $$(($$(nproc) + 1)) $$($(GO) list ./netsetup/bringup ./build ./... | grep -v '/integration$$')

fuzz: ## every fuzz target, FUZZTIME seconds (1800) for all together
	@GO=$(GO) scripts/fuzz $(FUZZTIME)

# What the tests of boots need. Half of it is fetched, and most of that is waiting.
boot-test-files: softib stall debian kernel-package kernel-oldest kernel-newest kernel-arm64 rescue ## fetch and build what the tests of boots need

# apt has one lock: it installs first.
boot-tests: packages headers ## only the tests of boots
	@$(MAKE) --no-print-directory -j3 boot-test-files
	@$(GO) test -vet=off -count=1 -timeout 45m ./integration

clean: ## remove what was fetched and built
	rm -rf .cache bin bench.json build/program/embedded/nodisk-init build/program/embedded/nodisk-init-arm64
