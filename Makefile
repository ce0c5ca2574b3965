# make demo       the main jobs, from nothing: .venv, install, each head at work, tables and pictures in demo/
# make test       lint (ruff, mypy, import-linter), tests, notebooks; what .ci/run calls
# make lint       the lint part alone
# make notebooks  execute the notebooks in place
# make bench      the benchmarks against peers, then RESULTS.md
# make docs       check that the papers and the examples of the docstrings run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test lint notebooks bench docs clean
.DELETE_ON_ERROR:

# a Python without ensurepip makes an environment without pip; its own pip then puts one in
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gnnlib needs Python 3.11 or newer; name one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install --quiet pip; }

# torch first: its exact version keeps the resolver from looking at other builds;
# setuptools in the environment, and no build isolation, so that a later run needs no network
$(VENV)/.installed: pyproject.toml setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt 'setuptools>=77' torch
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/gnnlib demo --out demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --max-worker-restart=0
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 notebooks

notebooks: export MPLBACKEND := module://matplotlib_inline.backend_inline
notebooks: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --nbmake --overwrite --nbmake-timeout=300 notebooks
	$(BIN)/python notebooks/slim.py notebooks/*.ipynb

docs: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/docs gnnlib

bench: export OMP_NUM_THREADS := 1
bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/bench_graph_building.py
	$(BIN)/python benchmarks/bench_encoder.py
	$(BIN)/python benchmarks/bench_bound.py
	$(BIN)/python benchmarks/bench_tsp_prior.py
	$(BIN)/python benchmarks/bench_tsp_ablation.py
	$(BIN)/python benchmarks/bench_tsp.py
	$(BIN)/python benchmarks/bench_vrp.py
	$(BIN)/python benchmarks/bench_vrp_policy.py
	$(BIN)/python benchmarks/bench_vrp_prior.py
	$(BIN)/python benchmarks/bench_graphs.py
	$(BIN)/python benchmarks/bench_hpo.py
	$(BIN)/python benchmarks/bench_meta.py
	$(BIN)/python benchmarks/bench_synthesis.py
	$(BIN)/python benchmarks/bench_automl.py
	$(BIN)/python benchmarks/bench_protein.py
	$(BIN)/python benchmarks/bench_scene.py
	$(BIN)/python benchmarks/report.py

clean:
	find gnnlib -name '*.nb[ci]' -delete  # compiled kernels, which remember where modules were
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo
