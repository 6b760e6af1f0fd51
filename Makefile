# make demo [TORCH_INDEX=<PyTorch's CPU index>]   make test   make help
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-faces demo paper bench docs notebooks test test-slow check audit clean
export PYTHON TORCH_INDEX
BIN := .venv/bin
# Two workers on two cores: torch in each must not ask for both, or they fight.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MPLBACKEND=Agg
WORKERS ?= 2
# Where pymilvus finds its protobuf; everywhere else its tests skip.
MILVUS := .venv/milvus/bin/python -m pytest -p no:cacheprovider

help:           ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:          ## .venv with what urface runs on; PYTHON= and TORCH_INDEX= are passed on
	@scripts/setup.sh

setup-faces:    ## the same with what finds faces in photos, keeps galleries and serves the page
	@scripts/setup.sh faces

setup-dev:      ## the same with what the tests need
	@scripts/setup.sh dev

demo: setup     ## train on built-in synthetic faces, write runs/demo/report.html
	@$(BIN)/urface reproduce --recipe demo

paper: setup-faces ## Tables 1 and 2, the ablation and all figures on synthetic faces, in runs/paper-small
	@$(BIN)/urface reproduce --recipe paper-small
	@$(BIN)/urface figures runs/paper-small -o runs/paper-small/figures

bench: setup-faces ## every figure of speed beside its target, in runs/bench/figures.md (an idle machine, 15 minutes)
	@$(BIN)/python bench/all.py

docs: setup-dev ## the documentation site, in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebooks: setup-dev ## run the notebooks of the docs and keep their outputs
	@$(BIN)/python docs/make_notebooks.py

check: setup-dev ## style, types and import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

test: check     ## the checks, then all tests but the slow ones
	@$(TEST_ENV) $(MILVUS) -q -m "not slow" tests/search/test_milvus.py
	@$(TEST_ENV) $(BIN)/pytest -n $(WORKERS) -m "not slow"

test-slow: setup-dev ## the slow tests
	@$(TEST_ENV) $(MILVUS) -q -m slow tests/search/test_milvus.py
	@$(TEST_ENV) $(BIN)/pytest -n $(WORKERS) -m slow

audit: setup    ## pins against their floors and, where it can be reached, PyPI's advisory service
	@test -x build/audit/bin/pip-audit || { $(BIN)/python -m venv build/audit && build/audit/bin/pip install -q -r requirements/audit.txt; }
	@$(BIN)/python scripts/audit.py --pip-audit build/audit/bin/pip-audit

clean:          ## remove caches and builds; .venv and runs/ stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
