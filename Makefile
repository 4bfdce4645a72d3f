# `make help` lists what there is.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

# The first of the ports on 127.0.0.1 that run, demo and cluster use. Two checkouts can run side by side.
export PORT_BASE ?= 20000
IMAGE ?= ghcr.io/latchkey-io/latchkey:latest
BENCH ?= .
COUNT ?= 1
SIZE ?= 10000
STEPS ?=
PARTS ?= micro,size,codeflow
SOAK ?= 1h

LOCAL := $(CURDIR)/.local
# Built rather than `go run`, which would call an interrupt a failure.
DEV := $(LOCAL)/bin/dev
GOLANGCI_LINT := $(LOCAL)/bin/golangci-lint
# Go modules with code of ours.
MODULES := . test

##@ Run it here
.PHONY: run demo cluster cluster-stop dev
run: dev ## Everything on this machine, in the foreground until Ctrl-C: a control plane, Latchkey, the demo apps
	@exec $(DEV) run
demo: dev ## Walk the seven steps of the authorization code flow without a browser, and fail if any of them does
	@exec $(DEV) demo
cluster: dev ## Only a Kubernetes control plane, in the background
	@exec $(DEV) cluster
cluster-stop: dev ## End it
	@exec $(DEV) cluster-stop
dev: # the command behind them, which make waits for, signals included
	@go build -o $(DEV) ./hack/dev

##@ Check it
.PHONY: test chaos soak bench bench-check lint prerequisites binaries
test: prerequisites binaries ## Every test, with the race detector, from nothing
	@for module in $(MODULES); do (cd $$module && go test -race -count=1 -timeout 20m ./...) || exit 1; done
chaos: prerequisites binaries ## Every fault at its full size, in a quarter of an hour: what was tried, what failed, what was lost; and .local/chaos.json
	@go -C test/chaos test -c -o $(LOCAL)/bin/chaos.test .
	@rm -rf $(LOCAL)/chaos
	@cd test/chaos && exec $(LOCAL)/bin/chaos.test -test.timeout 20m -dir $(LOCAL)/chaos -races=false -flows 1000 -outage 60s -report $(LOCAL)/chaos.json
soak: prerequisites binaries ## Mixed work for an hour (SOAK=<how long>), with keys and secrets that rotate and clients that come and go: does anything grow; and .local/soak.json
	@go -C test/chaos test -c -o $(LOCAL)/bin/chaos.test .
	@rm -rf $(LOCAL)/soak
	@cd test/chaos && exec $(LOCAL)/bin/chaos.test -test.run '^TestSoak$$' -test.timeout 0 -dir $(LOCAL)/soak -races=false -soak $(SOAK) -report $(LOCAL)/soak.json
bench: binaries ## The benchmarks, as tables and .local/bench.json (PARTS=micro,size,codeflow,load BENCH=<pattern> COUNT=<repeats> SIZE=<clients and grants> STEPS=none,few,many ROUNDS=5 TURN=4s PEERS=1 CHART=docs/performance.svg; SIZE=100000 for the full size, half an hour)
	@go run ./hack/bench -only '$(PARTS)' -bench '$(BENCH)' -count $(COUNT) -size $(SIZE) -steps '$(STEPS)' $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(TURN),-turn $(TURN)) $(if $(PEERS),-peers) $(if $(CHART),-chart '$(CHART)') $(if $(PROFILE),-profiles $(LOCAL)/profiles) -json $(LOCAL)/bench.json
bench-check: ## What requests allocate, held to hack/bench/budget.json (RECORD=1 records it anew)
	@go run ./hack/bench/check $(if $(RECORD),-record)
lint: $(GOLANGCI_LINT) ## Linters, import directions, formatting, and that nothing generated is out of date
	@hack/lint $(GOLANGCI_LINT) $(MODULES)
prerequisites: # what tests need and Go cannot bring
	@hack/prerequisites
binaries: dev # what a control plane needs, built with progress
	@exec $(DEV) binaries

##@ Build it
.PHONY: build image generate manifests clean
build: ## The program, as bin/latchkey
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/latchkey .
image: ## The container image, with docker, podman or buildah (IMAGE=<name>)
	@hack/image $(IMAGE)
generate: ## Deep copies, after a change to api/
	go tool controller-gen object paths=./api/...
manifests: ## CustomResourceDefinitions, after a change to api/
	go tool controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
clean: ## Remove what was built. The control plane's programs are kept; remove .local to build them anew
	rm -rf bin $(LOCAL)/run $(LOCAL)/bench.json $(LOCAL)/chaos $(LOCAL)/chaos.json $(LOCAL)/soak $(LOCAL)/soak.json $(LOCAL)/screenshots $(GOLANGCI_LINT)

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	@echo "Building golangci-lint, once; this takes some minutes"
	@go -C hack/tools build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
