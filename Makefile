# Every command that people need, with a sentence each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE ?= $(VENV)/store

.DEFAULT_GOAL := help
.PHONY: help setup build serve test lint validate check bench lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.all: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[owl,test]'
	@touch $@

setup: $(VENV)/.all ## Make .venv with the package and everything that tests and checks need

build: $(VENV)/.core ## Build the graph from the files into the store of this folder
	$(BIN)/kg4p1000 build --store $(STORE)

serve: build ## Set up what is missing and serve the graph at http://localhost:8000
	$(BIN)/kg4p1000 serve --store $(STORE)

test: setup lint ## Run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -q

lint: $(VENV)/.all ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

validate: $(VENV)/.core ## Check the data files against the shapes
	$(BIN)/kg4p1000 validate

check: $(VENV)/.all build ## Verify everything that can be verified about the store
	$(BIN)/kg4p1000 check --store $(STORE)

bench: $(VENV)/.all ## Measure the service beside others and write docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m bench --out docs/benchmarks.md

lock: $(VENV)/.all ## Write constraints.txt from what is installed now
	$(BIN)/python -m pip freeze --exclude-editable | grep -vi '^kg4p1000' > constraints.txt

clean: ## Remove what the other commands made
	rm -rf $(VENV) .pytest_cache .ruff_cache dist
