PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
PYTEST := $(BIN)/pytest -n logical --maxprocesses 8 --dist worksteal

.PHONY: install demo check test test-all clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[train,metrics,transformers,export,hub,cluster,serve,dev]'
	touch $@

demo: install          ## render the demo clip, segment it, leave out/demo
	$(BIN)/tdseg demo

check: install         ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check            ## the fast suite
	$(PYTEST) -m "not slow"

test-all: check        ## everything, the wheel in an empty environment included
	$(PYTEST)

clean:
	rm -rf out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
