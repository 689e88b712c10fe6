# Instruct-Ablate. `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STUDY ?= ablation
# The grid of `make sweep`; override GRID for another one.
GRID ?= instruction=original,simplified,delusive data_budget=0,4
EXTRAS ?= dev,slurm,joblib,tensorboard,mlflow,dashboard

.PHONY: help setup model sweep report docs test test-slow test-ray check audit format bench clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
	@touch $@

setup: $(BIN)/.installed  ## Make the environment in .venv

model: setup  ## Fetch and convert the default model (once)
	$(BIN)/instruct-ablate prepare model=smollm2_135m

sweep: setup  ## Train and evaluate the grid: untuned, original, simplified, delusive
	$(BIN)/python train.py -m $(GRID) study=$(STUDY)

report: setup  ## Tables, statistics, figures and a page of STUDY
	$(BIN)/instruct-ablate report multirun/$(STUDY)

$(BIN)/.docs: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@

docs: $(BIN)/.docs  ## The guide as a site in build/site, with search, readable without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

test: setup  ## All default tests, in minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Clusters, browsers and killed processes may be late on a busy machine: what fails is run once more, and listed.
test-slow: setup  ## The long ones: fault injection, Slurm, browser (each skips, saying so, where it cannot run)
	$(BIN)/python -m pytest -n 2 --dist loadfile --timeout 600 --reruns 1 -rR -m 'slow or slurm or browser or joblib'

test-ray: setup  ## Tests of the Ray launcher, in an environment of its own (.venv-ray)
	bash tests/ray/run.sh $(abspath $(BIN))

check: setup  ## Linters and types: ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: setup  ## Licences of what is installed, and known vulnerabilities where their database can be reached
	$(BIN)/python .ci/audit

format: setup  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Ratios against plain use of transformers' Trainer and generate
	$(BIN)/python -m benchmarks

clean:  ## Remove the environment and caches, never results
	rm -rf $(VENV) .venv-ray .mypy_cache .ruff_cache .pytest_cache build
