# Two commands do everything, their own set-up included:
#   make quickstart    trains the embedded study and fits it
#   make test          lint, types, tests
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STUDY  ?= experiments/quickstart.yaml

.PHONY: install quickstart test lint types lock clean help

help:
	@sed -n '2,3s/^#//p' Makefile

# The lock file names everything that is needed and leaves out what is not (see tool.uv).
# The stamp is newer than the lock file when the environment holds what the lock file says.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing (torch brings its CUDA libraries: some GB, a few minutes)"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(VENV)/.installed

quickstart: install
	@PATH="$(abspath $(BIN)):$$PATH" sh experiments/quickstart.sh $(STUDY)

test: lint types
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	$(BIN)/mypy

# Needs uv; the versions of every dependency, with hashes.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate --upgrade -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
