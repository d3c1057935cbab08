VENV ?= .venv
PYTHON ?= python3
OUTPUT ?= runs/keyphrases
PYTEST_ARGS ?= -n 2
BENCH_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q -c constraints.txt
# DeepSpeed calls ninja by name, and keeps what it compiles for this environment alone
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" TORCH_EXTENSIONS_DIR="$(CURDIR)/$(VENV)/torch_extensions"

.DEFAULT_GOAL := help
.PHONY: help install venv train test fullrun check format bench bench-gpu demo build docs hooks clean

help: ## print this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "variables: VENV=$(VENV) PYTHON=$(PYTHON) OUTPUT=$(OUTPUT) PYTEST_ARGS='$(PYTEST_ARGS)' BENCH_ARGS=$(BENCH_ARGS)"

install: $(VENV)/.installed ## set up VENV with what training needs

venv: $(VENV)/.installed-dev ## set up VENV with the tools for tests, style and types too

train: $(VENV)/.installed ## train a tiny model on the bundled sample, offline, and print its scores
	@out="$(OUTPUT)"; n=2; \
	while [ -e "$$out" ]; do out="$(OUTPUT)-$$n"; n=$$((n + 1)); done; \
	set -x; HF_HUB_OFFLINE=1 $(BIN)/frtune train keyphrases --output-dir "$$out"

test: $(VENV)/.installed-dev ## run the fast tests
	$(RUN) $(BIN)/python -m pytest $(PYTEST_ARGS)

fullrun: $(VENV)/.installed-dev ## run all tests but those that need a GPU
	$(RUN) $(BIN)/python -m pytest -m "not gpu" --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## check style, layers, spelling, types and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.installed-dev ## put the code into its style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev ## measure frtune beside its peers; BENCH_ARGS=--quick proves only that it runs
	HF_HUB_OFFLINE=1 $(RUN) $(BIN)/python benchmarks/all.py $(BENCH_ARGS)

bench-gpu: $(VENV)/.installed-dev ## check and measure training on a CUDA GPU, in under eight minutes
	HF_HUB_OFFLINE=1 $(RUN) $(BIN)/python benchmarks/gpu.py $(BENCH_ARGS)

demo: $(VENV)/.installed ## serve a page of a tiny model, which is trained first if there is none
	$(PIP) -e ".[ko,flaubert,demo]"
	[ -e runs/demo ] || HF_HUB_OFFLINE=1 $(BIN)/frtune train keyphrases --output-dir runs/demo
	$(BIN)/frtune demo runs/demo

build: $(VENV)/.installed-dev ## build the wheel into dist/
	$(BIN)/python -m pip wheel -q --no-deps -w dist .

docs: $(VENV)/.installed-dev ## build the site into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 HF_HUB_OFFLINE=1 $(BIN)/mkdocs build --strict -d site

hooks: $(VENV)/.installed-dev ## run the checks of .pre-commit-config.yaml at each commit
	$(BIN)/pre-commit install

clean: ## remove VENV and the caches; runs/ stays
	rm -rf "$(VENV)" .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[ko,flaubert]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.installed
