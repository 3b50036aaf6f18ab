# Every command that people need, with a sentence each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UPKEEP := $(VENV)/upkeep
STORE ?= $(VENV)/store

.DEFAULT_GOAL := help
.PHONY: help setup build serve test test-all test-rest lint validate check bench lock audit clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# What stands in a lock is taken with its hash only; the package itself is built with what the lock has.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.core: pyproject.toml requirements/core.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements/core.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.all: $(VENV)/.core requirements/all.txt
	$(PIP) --require-hashes --requirement requirements/all.txt
	@touch $@

$(UPKEEP)/.made: requirements/upkeep.txt
	$(PYTHON) -m venv $(UPKEEP)
	$(UPKEEP)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

setup: $(VENV)/.all ## Make .venv with the package and everything that tests and checks need

build: $(VENV)/.core ## Build the graph from the files into the store of this folder
	$(BIN)/kg4p1000 build --store $(STORE)

serve: build ## Set up what is missing and serve the graph at http://localhost:8000
	$(BIN)/kg4p1000 serve --store $(STORE) $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST))

# The many processes of the tests need not compile what they load.
PYTEST = PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath $(VENV))/compiled $(BIN)/python -m pytest -n auto --dist worksteal -q

test: setup lint ## Run the tests, but for those that take long
	$(PYTEST) -m 'not slow'

test-all: setup lint ## Run every test, and properties on many examples
	$(PYTEST) --hypothesis-profile=full

test-rest: setup ## Run what `make test` leaves out of `make test-all`
	$(PYTEST) --hypothesis-profile=full -m 'slow or hypothesis'

lint: $(VENV)/.all ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

validate: $(VENV)/.core ## Check the data files against the shapes
	$(BIN)/kg4p1000 validate

check: $(VENV)/.all build ## Verify everything that can be verified about the store
	$(BIN)/kg4p1000 check --store $(STORE)

bench: $(VENV)/.all ## Measure the service beside others and write docs/benchmarks.md
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m bench --out docs/benchmarks.md

COMPILE = $(UPKEEP)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command 'make lock' $(LOCKFLAGS)

lock: $(UPKEEP)/.made ## Write requirements/ for pyproject.toml; versions stay, but with LOCKFLAGS=--upgrade
	$(COMPILE) pyproject.toml --group build --output-file requirements/core.txt
	$(COMPILE) pyproject.toml --group build --all-extras --constraint requirements/core.txt --output-file requirements/all.txt
	$(COMPILE) --group upkeep --output-file requirements/upkeep.txt

audit: $(UPKEEP)/.made ## Ask whether anything in requirements/ has a known vulnerability
	$(UPKEEP)/bin/python requirements/audit.py requirements/all.txt requirements/upkeep.txt

clean: ## Remove what the other commands made
	rm -rf $(VENV) .pytest_cache .ruff_cache dist
