# `make demo` and `make test` start from a bare clone: they need Python 3.11 or newer, and set up .venv by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONTRACTS := indexer/contracts

.DEFAULT_GOAL := help
.PHONY: help demo setup test check format contracts lock build fresh soak bench-log bench-api bench-ingest bench-intake bench-export bench-verify bench-replay clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## a chain, an indexer, the books and the API, all on this machine, in one command
	$(BIN)/deepnode demo

setup: $(VENV)/.dev ## .venv with what the tests and checks need

test: $(VENV)/.dev ## every test but the soak tests
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(VENV)/.dev ## style, types, arrows between the rooms, tidiness
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/tidy

format: $(VENV)/.dev ## lay the code out as `make check` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

fresh: ## the package in an empty environment, as a stranger installs it
	PYTHON=$(PYTHON) .ci/fresh-install $(ARGS)

soak: $(VENV)/.dev ## the tests that run for minutes
	$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

bench-log: $(VENV)/.dev ## how fast the log is beside its peers; writes benchmarks/out/log.json (some minutes)
	$(BIN)/python -m benchmarks.bench_log $(ARGS)

bench-api: $(VENV)/.dev ## how fast GraphQL answers beside strawberry as it comes; writes benchmarks/out/api.json (some minutes)
	$(BIN)/python -m benchmarks.bench_api $(ARGS)

bench-intake: $(VENV)/.dev ## how many task events a second get in over HTTP; writes benchmarks/out/intake.json (some minutes)
	$(BIN)/python -m benchmarks.bench_intake $(ARGS)

bench-export: $(VENV)/.dev ## how fast exports are, and how flat; writes benchmarks/out/export.json (some minutes)
	$(BIN)/python -m benchmarks.bench_export $(ARGS)

bench-verify: $(VENV)/.dev ## how fast a bundle is verified, by stage and by cores; writes benchmarks/out/verify.json (some minutes)
	$(BIN)/python -m benchmarks.bench_verify $(ARGS)

bench-replay: $(VENV)/.dev ## how fast the whole log is folded, beside the rules and peers; writes benchmarks/out/replay.json (half an hour)
	$(BIN)/python -m benchmarks.bench_replay $(ARGS)

bench-ingest: $(VENV)/.dev ## how fast the chain gets into the books, beside its peers; writes benchmarks/out/ingest.json
	$(BIN)/python -m benchmarks.bench_ingest $(ARGS)

# --- Set-up -----------------------------------------------------------------------------------------------------------

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

# A stamp is newer than what it was made from, so that a second `make demo` starts at once. An environment that is there
# is kept, whatever PYTHON is: it was chosen once.
$(VENV)/.runtime: requirements.lock pyproject.toml
	@if [ -e $(BIN)/python ]; then \
	  $(BIN)/python $(NEW_ENOUGH) || { \
	    echo "$(VENV) was made with a Python older than 3.11. Remove it: make clean" >&2; exit 1; }; \
	else \
	  $(PYTHON) $(NEW_ENOUGH) || { \
	    echo "Python 3.11 or newer is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Setting up $(VENV): this takes about half a minute, once."
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Adding what the tests and checks need."
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# --- Made files -------------------------------------------------------------------------------------------------------

# Node and npm come from PATH, or else from the Python package that brings them.
contracts: $(VENV)/.runtime ## compile the reference contracts
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  cd $(CONTRACTS) && npm ci && node compile.js; \
	else \
	  bin="$$(cd $(BIN) && pwd)"; cd $(CONTRACTS) && PATH="$$bin:$$PATH" npm ci && PATH="$$bin:$$PATH" node compile.js; \
	fi

# One resolution for every Python and system that we support. The pins stay as they are unless UPGRADE=--upgrade.
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock" $(UPGRADE) pyproject.toml

lock: ## pin the dependencies (UPGRADE=--upgrade for newer ones)
	@[ -x build/lock/bin/uv ] || { $(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv; }
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

build: $(VENV)/.runtime ## the wheel and the source archive, in dist/
	@[ -x build/tools/bin/pyproject-build ] || { \
	  $(PYTHON) -m venv build/tools && build/tools/bin/python -m pip install --quiet build; }
	build/tools/bin/pyproject-build --outdir dist .

clean: ## remove what was made, but no ledger's data
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
