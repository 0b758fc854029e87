# One word each: env, demo, check, test, torture, bench, lock, clean.
# make lock UPGRADE=--upgrade takes the newest versions that fit.
# Needs Python 3.11 or later, make and git; the rest is installed into .venv and .uv.

PYTHON ?= python3
BIN    := .venv/bin
UV     := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
GATED  := pipeline store upstream ledger
LOCK   := $(UPGRADE) --quiet --universal --generate-hashes --no-emit-index-url --no-header

export UV_PYTHON_DOWNLOADS := never
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: env demo check test torture bench lock clean
.DEFAULT_GOAL := env

env: .venv/.ready

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	@echo '*' > .uv/.gitignore
	.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'

.venv/.ready: requirements/dev.txt pyproject.toml | $(filter .uv/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "penstock needs Python 3.11 or later; name one: make PYTHON=/path/to/python3")'
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(PYTHON)" .venv
	$(UV) pip sync --quiet --require-hashes --compile-bytecode requirements/dev.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

# Leaves its database in a new temporary directory, to look around in.
demo: env
	@$(BIN)/penstock demo $(DEMO)

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# PYTEST takes further options: make test PYTEST='-x -k cursor'.
test: check
	$(BIN)/pytest -m 'not torture' --numprocesses auto --dist worksteal \
		--cov penstock --cov-report= $(PYTEST)
	$(BIN)/coverage json --quiet -o .coverage.json
	$(BIN)/python tools/coverage_gate.py .coverage.json 95 $(GATED)
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && \
		$(BIN)/penstock demo --directory "$$directory"

torture: env
	$(BIN)/pytest -m torture $(PYTEST)

bench: env
	$(BIN)/python bench/run.py $(BENCH)

lock: | $(filter .uv/bin/uv,$(UV))
	$(UV) pip compile $(LOCK) --extra postgres --output-file requirements/run.txt pyproject.toml
	$(UV) pip compile $(LOCK) --all-extras --output-file requirements/dev.txt --group dev pyproject.toml
	$(UV) pip compile $(LOCK) --output-file requirements/bench.txt --group bench pyproject.toml
	$(PYTHON) tools/lock_mark.py > requirements/pyproject.sha256

clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
