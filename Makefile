GO ?= go
BIN := bin/pcaplab
LAB ?= lab-results
REVISION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null)
BUILD := $(GO) build -trimpath -ldflags '-X pcaplab/cmd/cli.revision=$(REVISION)'
FUZZTIME ?= 5s

.PHONY: help build man lab test check race test-386 cross fuzz bench clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the static binary bin/pcaplab
	CGO_ENABLED=0 $(BUILD) -o $(BIN) ./cmd/pcaplab

man: ## Write man pages into bin/man
	$(GO) run -tags man ./cmd/pcaplab man bin/man

lab: build ## Find the parsing ceilings of four engines on a synthetic IoT mix, in about a minute
	@if [ -e $(LAB)/study.json ]; then rm -r $(LAB); fi
	$(BIN) ceiling --quick -o $(LAB) synth:iot-1

test: ## Run all tests; PCAPLAB_CORPUS names a folder of captures with known contents
	$(GO) test ./...

check: ## Format, vet and staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

race: ## Run all tests under the race detector (needs cgo)
	CGO_ENABLED=1 $(GO) test -race ./...

test-386: ## Run all tests as a 32-bit program
	CGO_ENABLED=0 GOARCH=386 $(GO) test ./...

cross: ## Build for the boards: arm64, ARMv7, ARMv6
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(BUILD) -o bin/pcaplab-arm64 ./cmd/pcaplab
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o bin/pcaplab-armv7 ./cmd/pcaplab
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o bin/pcaplab-armv6 ./cmd/pcaplab

fuzz: ## Fuzz each byte parser for FUZZTIME
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
	  done; done

bench: ## Run the benchmarks: ours and the peers in one run
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## Remove what the targets made
	rm -rf bin
	@if [ -e $(LAB)/study.json ]; then rm -r $(LAB); fi
