GO ?= go
BIN := bin/pcaplab
LAB ?= lab-results
DIST ?= dist
REVISION := $(shell git describe --tags --match 'v[0-9]*' --always --dirty --abbrev=12 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git -c log.showSignature=false log -1 --format=%ct 2>/dev/null)
BUILD := $(GO) build -trimpath -ldflags '-X pcaplab/cmd/cli.revision=$(REVISION)'
FUZZTIME ?= 5s
PACKAGES ?= ./...

.PHONY: help build man lab test check race test-386 cross dist dist-check fuzz bench icount icount-update bench-inject boards clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the static binary bin/pcaplab
	CGO_ENABLED=0 $(BUILD) -o $(BIN) ./cmd/pcaplab

man: ## Write man pages into bin/man
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(GO) run -tags man -ldflags '-X pcaplab/cmd/cli.revision=$(REVISION)' ./cmd/pcaplab man bin/man

lab: build ## Find the parsing ceilings of four engines on a synthetic IoT mix, in about a minute
	@if [ -e $(LAB)/study.json ]; then rm -r $(LAB); fi
	$(BIN) ceiling --quick -o $(LAB) synth:iot-1

test: ## Run all tests; PCAPLAB_CORPUS names a folder of captures with known contents
	$(GO) test -timeout 30m $(TESTFLAGS) ./...

check: ## Format, vet and staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags man ./cmd/...
	$(GO) tool staticcheck ./...

# Children of tests would sleep for a second each at their end.
race: ## Run all tests under the race detector (needs cgo); PACKAGES names some
	GORACE=atexit_sleep_ms=10 CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) $(PACKAGES)

test-386: ## Run all tests as a 32-bit program; PACKAGES names some
	CGO_ENABLED=0 GOARCH=386 $(GO) test -timeout 30m $(TESTFLAGS) $(PACKAGES)

cross: ## Build bin/pcaplab-linux-ARCH for the boards: arm64, armv7, armv6; bin/pcaplab remote takes them from there
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(BUILD) -o bin/pcaplab-linux-arm64 ./cmd/pcaplab
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o bin/pcaplab-linux-armv7 ./cmd/pcaplab
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o bin/pcaplab-linux-armv6 ./cmd/pcaplab

dist: ## Make static binaries, Debian packages and SHA256SUMS in dist/, the same octets everywhere; DIST names another folder
	@GO='$(GO)' sh cmd/pcaplab/dist/dist.sh '$(DIST)' '$(REVISION)' '$(SOURCE_DATE_EPOCH)'

dist-check: ## Make dist twice from what is committed, compare; install, run and purge the packages in a folder
	@GO='$(GO)' sh cmd/pcaplab/dist/check.sh

fuzz: ## Fuzz each byte parser for FUZZTIME; again after a failure, which a real one survives in testdata
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; fuzz="$(GO) test -run ^$$ -fuzz ^$$f\$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p"; \
	    $$fuzz || $$fuzz; \
	  done; done

bench: ## Run the benchmarks: ours and the peers in one run
	$(GO) test -run '^$$' -bench . -benchmem ./...

icount: ## Count instructions per packet on four processors and compare with the golden table (qemu-user, gcc)
	$(GO) run ./cmd/icount

icount-update: ## Accept the instructions per packet as they are now
	$(GO) run ./cmd/icount -update -runs 5

bench-inject: build ## Replay in turn with tcpreplay over a veth pair of its own, judged by the receiver (root, ip, ethtool); INJECT takes flags
	$(GO) run ./cmd/injectbench $(INJECT)

boards: build cross ## Run the boards' binaries under emulation: the same answers as here (qemu-user or qemu-user-static)
	PCAPLAB_BOARDS=$(CURDIR)/bin $(GO) test -count 1 -v -timeout 20m -run '^TestBoards' ./cmd/pcaplab

clean: ## Remove what the targets made
	rm -rf bin
	sh cmd/pcaplab/dist/undist.sh '$(DIST)'
	@if [ -e $(LAB)/study.json ]; then rm -r $(LAB); fi
