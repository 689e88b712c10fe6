# Instruct-Ablate. `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STUDY ?= ablation
# The grid of `make sweep`; override GRID for another one.
GRID ?= experiment=quickstart
# Pinned versions with hashes; `LOCK=` takes what pyproject.toml allows instead.
LOCK ?= lock
EXTRAS ?= dev,slurm,joblib,tensorboard,mlflow,dashboard,languages

.PHONY: help setup lock model sweep report docs test test-slow test-ray check audit format bench pictures clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# What a sweep needs alone; tests, linters, loggers and launchers come on top with `make setup` or `make test`.
LEAN := $(if $(wildcard $(BIN)/.installed),$(BIN)/.installed,$(BIN)/.lean)

$(BIN)/.lean: pyproject.toml $(wildcard lock/sweep.txt)
	$(call install,sweep.txt,.)

$(BIN)/.installed: pyproject.toml $(wildcard lock/all.txt)
	$(call install,all.txt,.[$(EXTRAS)])

# The lock first; what it leaves out (torch, whose build differs by machine) comes with the package itself.
define install
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(LOCK),$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(LOCK)/$(1))
	$(BIN)/python -m pip install --quiet -e '$(2)'
	@touch $@
endef

setup: $(BIN)/.installed  ## Make the whole environment in .venv: with tests, linters, loggers and launchers

lock:  ## Pin anew what pyproject.toml asks for (lock/); UPGRADE=--upgrade moves to the newest versions
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	lock/compile $(VENV)-lock/bin/uv $(UPGRADE)

model: $(LEAN)  ## Fetch and convert the default model (once)
	$(BIN)/instruct-ablate prepare model=smollm2_135m

sweep: $(LEAN)  ## Train and evaluate the grid, with its verdicts and page: conf/experiment/quickstart.yaml
	$(BIN)/python train.py -m $(GRID) study=$(STUDY)

report: $(LEAN)  ## Tables, statistics, figures and a page of STUDY
	$(BIN)/instruct-ablate report multirun/$(STUDY)

$(BIN)/.docs: $(LEAN)
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@

docs: $(BIN)/.docs  ## The guide as a site in build/site, readable without a network
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

pictures: setup  ## The README's pictures, of STUDY (needs chromium)
	$(BIN)/python -m benchmarks.pictures multirun/$(STUDY)

clean:  ## Remove the environment and caches, never results
	rm -rf $(VENV) $(VENV)-lock .venv-ray .mypy_cache .ruff_cache .pytest_cache build
