# Two commands on a fresh machine: `make demo` and `make test`. Both make their own virtual environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# build environments too
export PIP_CONSTRAINT := constraints.txt

.PHONY: help demo test check fuzz soak bench clean

help: ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/demo.stamp ## encode and decode a real clip, beside plain HEVC
	$(BIN)/python demo.py

# half as many processes again as there are processors, since tests wait for what they have started; so one thread each
test: WORKERS = $(shell $(PYTHON) -c "import os; print(os.cpu_count() * 3 // 2)")
test: export OMP_NUM_THREADS := 1
test: $(VENV)/test.stamp ## lint, types and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS) --dist worksteal
	$(BIN)/python -m fuzz.run --seconds 120 --crashes build/crashes

check: $(VENV)/test.stamp ## lint, types and the fast tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow"

fuzz: $(VENV)/test.stamp ## an hour of fuzzing, and the campaigns of docs/security.md; SECONDS=n for less
	$(BIN)/python -m fuzz.run --seconds $(or $(SECONDS),3600) --crashes build/crashes
	$(BIN)/python -m fuzz.campaign info --cases 200000 --keep build/crashes
	$(BIN)/python -m fuzz.campaign decode --cases 20000 --keep build/crashes

soak: $(VENV)/test.stamp ## half an hour of video through encode, adaptation and decode, memory watched; takes hours
	$(BIN)/python -m lab.benchmarks.soak

bench: $(VENV)/test.stamp ## the figures in the README; takes a while
	$(BIN)/python -m lab.benchmarks.rate_distortion
	$(BIN)/python -m lab.benchmarks.speed
	$(BIN)/python -m lab.benchmarks.colourise

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[samples]
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[samples,dev]
	touch $@

clean: ## remove the environment and what the demo wrote
	rm -rf $(VENV) demo build *.egg-info
