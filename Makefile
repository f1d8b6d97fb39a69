# make boot    bake an image and boot a diskless node with it, in QEMU
# make test    everything that is checked: lint, unit tests, fuzzing, boots
# make fuzz    half an hour of fuzzing, FUZZTIME seconds for all targets together
# make soak    N boots with a fault each (100), of the storm of SEED
# make bench   how long the initramfs takes, how big it is: bench.json
# make build   bin/nodisk, the command, with /init inside
#
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
# the same image from source. Inlining the standard library alone is as quick as
# inlining everything, and half as much larger.
init       = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -gcflags=all=-l -gcflags=std= -ldflags="-s -w -buildid="
# The race detector needs a C compiler.
race       = $(shell command -v gcc >/dev/null 2>&1 && echo -race)
part       = @scripts/part
# Tests of packages build and cmd/nodisk.
large      = ^TestCheckDistribution$$|^TestBaseImagesOfOthers$$|^TestCompressReference$$|^TestLZ4IsSmaller$$|^TestAddSparse$$|^TestAddReproducible$$|^TestBuildFromSource$$|^TestHostileImages$$|^TestPlanCommand$$/^intel$$

.PHONY: kernel-package man all boot test soak bench build packages kernel kernel-other kernel-oldest kernel-newest kernel-arm64 rescue headers softib stall debian vet lint unit unit-race unit-large fuzz boot-test-files boot-tests clean

all: build

boot: packages kernel build
	@bin/nodisk build --kernel $(kernel_dir)/vmlinuz --modules $(kernel_dir) --profile virt,iscsi,ext4 --out .cache/boot.img
	@bin/nodisk boot --pxe --kernel $(kernel_dir)/vmlinuz .cache/boot.img

# Quick checks first; the parts run one after the other, also under make -j.
test: packages kernel kernel-other
	@$(MAKE) --no-print-directory build
	$(part) vet $(MAKE) --no-print-directory vet
	$(part) lint $(MAKE) --no-print-directory lint
	$(part) unit $(MAKE) --no-print-directory unit
	$(part) fuzz $(MAKE) --no-print-directory fuzz FUZZTIME=200
	$(part) boot-tests $(MAKE) --no-print-directory boot-tests
	@echo "make test: all parts passed"

bench: packages kernel build stall
	@$(GO) run ./integration/bench -nodisk bin/nodisk -kernel $(kernel_dir) -runs $(RUNS) -out bench.json

# A boot that ends wrong prints how to repeat it; the table comes last.
soak: packages kernel build stall
	@rm -f .cache/storm.txt
	@NODISK_STORM_SEED=$(SEED) NODISK_STORM_N=$(N) NODISK_STORM_TABLE=$(CURDIR)/.cache/storm.txt NODISK_TEST_STRICT=1 \
		$(GO) test -count=1 -timeout $$(($(N) + 30))m -run '^TestStorm$$' ./integration; \
		status=$$?; [ ! -f .cache/storm.txt ] || cat .cache/storm.txt; exit $$status

# Several steps, because bin/nodisk carries /init, for both architectures.
build:
	@mkdir -p build/embedded bin
	@rm -f build/embedded/nodisk-init*
	@GOARCH=amd64 $(init) -o build/embedded/nodisk-init ./cmd/nodisk-init
	@GOARCH=arm64 $(init) -o build/embedded/nodisk-init-arm64 ./cmd/nodisk-init
	@$(GO) run ./build/packinit build/embedded/nodisk-init build/embedded/nodisk-init-arm64
	@$(static) -tags embedinit -o bin/nodisk ./cmd/nodisk

man: build
	@mkdir -p man
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) bin/nodisk man --dir man

packages:
	@scripts/packages

kernel:
	@scripts/fetch-kernel $(kernel_dir)

# Another kernel of the same version, whose modules the first refuses.
kernel-other: kernel
	@scripts/fetch-kernel $(kernel_other) other

# The ends of what Debian's mirror offers.
kernel-oldest: packages
	@scripts/fetch-kernel $(kernel_oldest) oldest

kernel-newest: packages
	@scripts/fetch-kernel $(kernel_newest) newest

# For a node of another architecture.
kernel-arm64:
	@scripts/fetch-kernel-arm64 $(kernel_arm64)

# The rescue shell is compiled from a Go module, once, into the user's cache.
rescue: kernel build
	@bin/nodisk build --kernel $(kernel_dir)/vmlinuz --modules $(kernel_dir) --profile virt --rescue --out .cache/rescue.img >/dev/null

# A kernel as Debian's packages bring it, for the hooks that packages run.
kernel-package: packages
	@scripts/fetch-kernel-package .cache/kernel-package

headers: kernel
	@KERNEL=$(kernel_dir) scripts/fetch-headers .cache/headers

# The software InfiniBand HCA of the lab, for the kernel in .cache/kernel.
softib: headers
	@scripts/build-module integration/softib .cache/headers .cache/softib

# The driver that takes its time.
stall: headers
	@scripts/build-module integration/stall .cache/headers .cache/stall

# Stock trees, for what happens behind the switch.
debian: .cache/debian-bookworm.tar .cache/debian-trixie.tar

.cache/debian-%.tar: | packages
	@scripts/debian-tree $* $@

vet:
	@$(GO) vet ./...

lint:
	@$(GO) run $(lint) run ./...

# The race detector makes what packs and reads megabytes ten times slower: those tests
# run without it, beside the others, which leave a processor to them.
unit: kernel-other headers
	@$(MAKE) --no-print-directory -j2 unit-race unit-large

# The longest packages begin first. Tests of the network mostly wait for it: more of a
# package run side by side than there are processors, and one package more. Vetted it was
# by "make vet".
unit-race:
	@$(GO) test $(race) -skip '$(large)' -vet=off -p $$(($$(nproc) + 1)) -parallel 4 $$($(GO) list ./netsetup/bringup ./build ./... | grep -v '/integration$$')

unit-large:
	@$(GO) test -vet=off -run '$(large)' ./build ./cmd/nodisk

fuzz:
	@GO=$(GO) scripts/fuzz $(FUZZTIME)

# What the tests of boots need. Half of it is fetched, and most of that is waiting.
boot-test-files: softib stall debian kernel-package kernel-oldest kernel-newest kernel-arm64 rescue

# apt has one lock: it installs first.
boot-tests: packages headers
	@$(MAKE) --no-print-directory -j3 boot-test-files
	@$(GO) test -vet=off -count=1 -timeout 45m ./integration

clean:
	rm -rf .cache bin bench.json build/embedded/nodisk-init build/embedded/nodisk-init-arm64
