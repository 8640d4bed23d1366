# What a developer types. `make demo` and `make test` need git, make, python3 (3.11 or newer) and python3-venv, no root,
# and touch nothing outside this folder but caches.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ROOMS := cli client executor proto store supervisor

# Generated code runs with libraries as old as the compiler that made it, never with older ones (protobuf's cross-version
# guarantee; grpcio checks the same). So the compiler has exactly the lowest version pyproject.toml allows for grpcio,
# lies beside the libraries instead of among them, and a newer release of it changes nothing here.
PROTOC_VERSION := 1.80.0
PROTOC := $(VENV)/protoc-$(PROTOC_VERSION)
GENERATE := PYTHONPATH=$(PROTOC) PYTHON=$(RUN) sh proto/generate.sh

BENCHES := throughput submit latency lateness commands memory idle_wakeups claim_scale calls encryption

PYTEST := $(RUN) -m pytest -n 4 --dist worksteal

.PHONY: help demo test test-slow bench lint types imports drift pytest wheel format proto clean

help:
	@echo "make demo       a scheduler's little day, from nothing to results, in under a minute"
	@echo "make test       everything that must hold: format, lint, types, import rules, generated code, demo, wheel, tests"
	@echo "make test-slow  the long tests on top"
	@echo "make bench      figures beside other programs', a few minutes on a quiet machine; bench/README.md tells how to read them"
	@echo "make format     bring the sources into form"
	@echo "make proto      make the generated code of proto/*.proto anew"
	@echo "make clean      remove all that these commands made"

demo: $(VENV)/.installed
	@$(RUN) -P examples/demo.py

# In this order: what is quick comes first.
test: lint types imports drift
	@echo "== demo"
	@$(RUN) -P examples/demo.py
	@$(MAKE) wheel
	@$(MAKE) pytest
	@echo "== all of make test passed"

test-slow: $(VENV)/.installed-dev
	@echo "== pytest, the long ones"
	@$(PYTEST) -m slow

# A target that is missed is said, and is no failure: only what is broken is.
bench: $(VENV)/.installed
	@for each in $(BENCHES); do $(RUN) bench/$$each.py || { echo "bench/$$each.py is broken"; exit 1; }; done

lint: $(VENV)/.installed-dev
	@echo "== format and lint"
	@$(RUN) -m ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(RUN) -m ruff check --quiet .

types: $(VENV)/.installed-dev
	@echo "== types"
	@PYTHON=$(RUN) sh tests/types.sh $(ROOMS)

imports: $(VENV)/.installed-dev
	@echo "== import rules"
	@said=$$($(VENV)/bin/lint-imports 2>&1) || { echo "$$said"; exit 1; }

drift: $(PROTOC)
	@echo "== generated code"
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && mkdir "$$tmp/kept" "$$tmp/made" \
	    && cp proto/*_pb2*.py* "$$tmp/kept" && $(GENERATE) "$$tmp/made" \
	    && { diff -ru "$$tmp/kept" "$$tmp/made" || { echo "proto/ is not what its .proto files say; run: make proto"; exit 1; }; }

pytest: $(VENV)/.installed-dev
	@echo "== pytest"
	@$(PYTEST) -m "not slow"

wheel: $(VENV)/.installed-dev
	@echo "== wheel, in an empty environment"
	@PYTHON=$(RUN) sh tests/wheel.sh

format: $(VENV)/.installed-dev
	@$(RUN) -m ruff check --quiet --fix . ; $(RUN) -m ruff format .

proto: $(PROTOC)
	@$(GENERATE)

clean:
	@rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed anew when pyproject.toml changed. The stamp is written last: what was interrupted is done again.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing tsched into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing tsched and its development tools into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.installed $@

$(PROTOC): | $(VENV)/bin/python
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target $@ grpcio-tools==$(PROTOC_VERSION)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "tsched needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	    || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
