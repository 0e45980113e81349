# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# A notice of the documentation theme about its next major version; it is no warning of ours.
export NO_MKDOCS_2_WARNING := 1
# A newer pip than Python brings resolves in a third of the time; modules are compiled when they are first imported.
PIP := $(BIN)/python -m pip install --quiet --no-compile

.PHONY: demo test test-oldest bench docs lint clean

.venv/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("gmaps needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; say: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade 'pip>=25'
	$(PIP) --constraint constraints.txt --editable .
	@touch $@

.venv/.dev: .venv/.core
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv/.core
	$(BIN)/gmaps build --dataset synthetic --limit 2000 --workers 2
	$(BIN)/gmaps inspect store
	$(BIN)/gmaps inspect sample 42 --save demo.png
	@echo
	@echo "The store is synthetic.zarr; the picture of sample 42 is demo.png: have a look."

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.dev
	$(BIN)/mkdocs build --strict --quiet

test: lint docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --durations 15

test-oldest:
	PYTHON=$(PYTHON) .ci/oldest

bench: .venv/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .venv-oldest site build *.egg-info synthetic.zarr synthetic.zarr.partial demo.png
