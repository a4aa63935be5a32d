# netprobe: `make demo` shows it, `make test` proves it. Both set themselves up.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.locked
# Programs the lab needs, and the Debian packages that bring them.
TOOLS    := nft ip wg wireguard-go ping nsenter sysctl
PACKAGES := nftables iproute2 wireguard-tools wireguard-go iputils-ping util-linux procps
# What the nodes of the end-to-end tests are made of, and what builds images; kubectl comes from elsewhere.
E2E_PACKAGES := containerd runc containernetworking-plugins buildah busybox-static

.DEFAULT_GOAL := help
FUZZ_SECONDS ?= 120
SOAK_SECONDS ?= 600

# What a target of the suite is made of, and what runs side by side: tests/suite/parts.py.
SUITE := $(BIN)/python -m tests.suite

.PHONY: help setup system-packages demo docs test test-all check lint types floors unit unit-fast scenarios slow rest lab-core lab-slow bad-days lab-one notebooks e2e e2e-build e2e-fabrics e2e-fabric-programs e2e-kubernetes e2e-images e2e-packages lab-score fuzz soak format lock release release-bases clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

system-packages:
	@missing=""; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing what is missing:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) python3-venv >/dev/null; \
	  else \
	    echo "missing:$$missing"; echo "run: sudo apt-get install --no-install-recommends $(PACKAGES) python3-venv"; exit 2; \
	  fi; \
	fi

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: system-packages $(STAMP)  ## Install everything into .venv (and missing system packages, as root)

demo: setup  ## Three clusters, real tunnels, real faults, each named; writes demo/
	@$(BIN)/netprobe demo --output demo

test: setup  ## Everything that must be green, without what takes longest
	@$(SUITE) test

test-all: setup  ## make test, the slow tests and the bad days
	@$(SUITE) test rest

rest: $(STAMP)  ## What make test leaves out
	@$(SUITE) rest

check: $(STAMP)  ## Lint, types, floors
	@$(SUITE) check

lint: $(STAMP)
	@$(SUITE) lint

types: $(STAMP)
	@$(SUITE) types

floors: $(STAMP)
	@$(SUITE) floors

unit: $(STAMP)  ## Unit tests and doctests
	@$(SUITE) unit

unit-fast: $(STAMP)  ## Unit tests that start no server, browser or other program
	@$(BIN)/python -m pytest -q -n auto -m "not programs and not slow"

scenarios: $(STAMP)  ## Simulated fleets with labelled faults, each named right
	@$(SUITE) scenarios

slow: $(STAMP)  ## The slow unit tests and simulated fleets
	@$(SUITE) slow

lab-core: $(STAMP)  ## Tests on real packets in network namespaces, without the slow ones
	@$(SUITE) lab-core

lab-slow: $(STAMP)  ## The slow tests on real packets
	@$(SUITE) lab-slow

bad-days: $(STAMP)  ## Full disks, spoilt files, wrong clocks and kills, on a real collector
	@$(SUITE) bad-days

lab-one: $(STAMP)  ## One file or one test on real packets: make lab-one T=tests/lab/test_pmtu.py
	@$(BIN)/python -m pytest -v $(T)

notebooks: $(STAMP)  ## Execute every notebook
	@$(SUITE) notebooks

e2e-packages:
	@for package in $(E2E_PACKAGES); do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing what is missing:$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

e2e-kubernetes: setup e2e-packages
	@if [ -z "$$NETPROBE_E2E_CONTEXTS" ] && command -v go >/dev/null; then $(BIN)/python -m tests.e2e.cluster.kubernetes_build; fi

e2e-fabric-programs: setup
	@if [ -z "$$NETPROBE_E2E_CONTEXTS" ] && command -v go >/dev/null; then $(BIN)/python -m tests.e2e.cluster.fabric_build; fi

e2e-images: setup e2e-packages
	@if [ -z "$$NETPROBE_E2E_CONTEXTS" ] && command -v buildah >/dev/null; then $(BIN)/python -m tests.e2e.cluster.node_images; fi

e2e-build: e2e-kubernetes e2e-fabric-programs e2e-images

e2e: e2e-build  ## Tests on real Kubernetes; the first run builds it (or NETPROBE_E2E_CONTEXTS="a b")
	@$(BIN)/pytest -q tests/e2e

e2e-fabrics: e2e-build  ## The end-to-end tests with fabrics' own programs alone
	@$(BIN)/pytest -q tests/e2e/test_submariner_gateways.py tests/e2e/test_lighthouse.py

lab-score: setup  ## Every kind of fault at two places, on real packets; writes docs/lab-score.md
	@$(BIN)/python -m benchmarks lab-score --docs docs/lab-score.md

docs: $(STAMP)  ## The documentation site in build/docs/html; warnings and broken links are errors
	@$(BIN)/python -m docs.site

fuzz: $(STAMP)  ## Fuzz every decoder with atheris, FUZZ_SECONDS (120) each; corpus in build/fuzz
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

soak: $(STAMP)  ## Sweep and answer without a pause for SOAK_SECONDS (600): nothing may grow
	@$(BIN)/python -m benchmarks.soak --seconds $(SOAK_SECONDS)

format: $(STAMP)  ## Let ruff format and fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock:  ## Renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --extra all --universal --generate-hashes --python-version 3.11 \
	  --no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.lock
	for image in agent=agents/requirements.lock collector=requirements-collector.lock; do \
	  uv pip compile pyproject.toml --extra $${image%%=*} --constraint requirements.lock --generate-hashes --python-version 3.11 \
	    --python-platform linux --no-emit-index-url --custom-compile-command "make lock" --quiet --output-file $${image#*=}; \
	done

release-bases: $(STAMP)  ## Ask the registries for the digests of our images' bases; look at the difference and commit it
	@$(BIN)/python -m release resolve

release: $(STAMP)  ## Images, package, bills of materials, checksums, signatures: make release REGISTRY=registry.example.com/you
	@release/build.sh

clean:  ## Remove what make made
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
