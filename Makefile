# Every target makes what it needs, the virtual environment included; `make` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format upstream compat compat-quick fuzz bench docs notebooks
.PHONY: dist clean

# To choose otherwise: make test PYTHON=python3.12 JOBS=8
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
JOBS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

# One thread for each process: the processes of a test run share the cores. The tests of a file stay
# together, so that what a file sets up is set up once.
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(PY) -m pytest -n $(JOBS) --dist loadfile

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## train a small model on a real yeast chromosome and show what it does
	@$(PY) examples/demo.py

test: check upstream-source  ## style, types and all fast tests, those of Transformers among them
	@echo "==> tests"
	@$(PYTEST) -m "not slow and not gpu"

test-all: check upstream-source  ## as `make test`, and the slow tests and those for a GPU
	@echo "==> tests"
	@$(PYTEST)

check: $(READY)  ## formatting, lint, types
	@echo "==> format, lint, types"
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy

format: $(READY)  ## format the code and mend what the linter can
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

upstream: upstream-source  ## only the common model tests of the installed Transformers
	@$(PYTEST) tests/upstream

.PHONY: upstream-source
upstream-source: $(READY)
	@$(PY) tests/upstream/download.py

compat: $(READY)  ## checkpoints between releases, then the fast tests with old and new ones
	@echo "==> checkpoints between releases"
	@OMP_NUM_THREADS=1 $(PY) tests/compat/matrix.py
	@JOBS=$(JOBS) $(PY) tests/compat/suites.py

compat-quick: $(READY)  ## checkpoints between the pinned and the oldest release of Transformers
	@echo "==> checkpoints between the pinned and the oldest Transformers"
	@OMP_NUM_THREADS=1 $(PY) tests/compat/matrix.py --quick

fuzz: $(READY)  ## random input for the readers, the tokenizer and the converter, for an hour
	@DNAGPT_FUZZ=5000 $(PYTEST) tests/project/test_fuzz.py

bench: $(READY)  ## the benchmarks; each prints its figures
	@for program in benchmarks/*.py; do echo "==> $$program"; $(PY) "$$program"; done

docs: $(READY)  ## the site of the documentation, in site/
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

notebooks: $(READY)  ## run the notebooks of docs/tutorials and keep what they print and draw
	@$(PY) docs/run_notebooks.py

dist: $(READY)  ## wheel and source distribution in dist/, tried in fresh environments
	@PYTHON="$(PYTHON)" bash .ci/dist

clean:  ## delete everything that these targets made
	rm -rf $(VENV) .cache build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The constraints hold for Python 3.11 and later; on 3.10 pip chooses what fits.
$(READY): pyproject.toml setup.cfg constraints.txt
	@echo "==> environment $(VENV) of $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "==> packages (the first time, PyTorch is a large download)"
	@constraints=$$($(PY) -c 'import sys; print("-c constraints.txt" * (sys.version_info >= (3, 11)))'); \
	PYTHONUNBUFFERED=1 $(PY) -m pip install --disable-pip-version-check --no-input \
		$$constraints --editable ".[dev,demo,docs]" \
		| awk '/^ *Downloading .*\)$$/ {print "    " $$2 " " $$3 " " $$4; fflush()}'
	@touch $@
