# `make demo` and `make test` set up everything they need in .venv.
VENV ?= .venv
PYTHON ?= python3
WORK_DIR ?= runs/demo
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint benchmark clean

demo: $(INSTALLED)
	$(BIN)/tf-student demo --work_dir=$(WORK_DIR)

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/student_against_teacher.py

clean:
	rm -rf $(VENV) build *.egg-info

$(INSTALLED): pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement constraints.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@
