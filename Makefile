# Two commands set everything up on a machine with Python 3.11+, make and a package index:
# `make demo` (the main job, on real models) and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo demo-quick test lint docs bench pictures starters clean

demo: .venv/.runtime
	$(BIN)/bioforge demo

demo-quick: .venv/.runtime
	$(BIN)/bioforge demo --quick

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: .venv/.runtime
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.cold
	$(BIN)/python -m bench.survival
	$(BIN)/python -m bench.scale

pictures: .venv/.runtime
	$(BIN)/python -m bench.pictures

# The trained deltas in assets/starters, from data that is not part of this repository.
starters: .venv/.runtime
	@test -n "$(COLA)" -a -n "$(BIOS)" || { echo "usage: make starters COLA=folder-or-zip BIOS=file.csv [COLUMN=name]"; exit 2; }
	$(BIN)/python -m bench.starters "$(COLA)" "$(BIOS)" $(if $(COLUMN),--column "$(COLUMN)")

.venv/.python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	touch $@

.venv/.runtime: .venv/.python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

.venv/.dev: .venv/.runtime
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist
