# Two commands on a fresh machine: `make demo` and `make test`. Both make their own virtual
# environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The constraints hold for build environments too.
export PIP_CONSTRAINT := constraints.txt

.PHONY: help lint demo test check nightly fuzz soak bench results clean

help: ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/demo.stamp ## two real clips three ways beside their rivals; four minutes
	$(BIN)/python demo.py

# Half as many processes again as there are processors, since tests wait for processes that they
# have started; so each has one thread.
WORKERS = $(shell $(PYTHON) -c "import os; print(os.cpu_count() * 3 // 2)")
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

test: lint ## lint, types and every test but the nightly ones; under eight minutes on two cores
	$(PYTEST) -m "not nightly"
	$(BIN)/python -m fuzz.run --seconds 5 --crashes build/crashes

check: lint ## lint, types and the fast tests; under a minute
	$(PYTEST) -m "not slow and not nightly"

nightly: lint ## every test, the longest too, and two minutes of fuzzing
	$(PYTEST)
	$(BIN)/python -m fuzz.run --seconds 120 --crashes build/crashes

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/test.stamp ## an hour of fuzzing, and the campaigns of docs/security.md; SECONDS=n for less
	$(BIN)/python -m fuzz.run --seconds $(or $(SECONDS),3600) --crashes build/crashes
	$(BIN)/python -m fuzz.campaign info --cases 200000 --keep build/crashes
	$(BIN)/python -m fuzz.campaign decode --cases 20000 --keep build/crashes
	$(BIN)/python -m fuzz.campaign mp4 --cases 20000 --keep build/crashes
	$(BIN)/python -m fuzz.campaign ts --cases 20000 --keep build/crashes

soak: $(VENV)/test.stamp ## half an hour of video through encode, adaptation and decode, memory watched; takes hours
	$(BIN)/python -m lab.benchmarks.soak

bench: $(VENV)/test.stamp ## the figures in the README; takes a while
	$(BIN)/python -m lab.benchmarks.rate_distortion
	$(BIN)/python -m lab.benchmarks.speed
	$(BIN)/python -m lab.benchmarks.colourise

results: $(VENV)/test.stamp ## the table "what a person would pick" of docs/results.md; takes hours
	$(BIN)/python -m lab.benchmarks.structures

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[samples,networks]
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[samples,dev]
	touch $@

clean: ## remove the environment and what the demo wrote
	rm -rf $(VENV) demo build *.egg-info
