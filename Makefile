# make solve: solves the examples with the hybrid, the shipped policies and OR-Tools, prints the table, writes out/.
# make test:  lint, types and the fast tests.
# Both make the virtual environment that they run in, once: VENV=DIR names another one.

PYTHON ?= python3
VENV ?= .venv
OUT ?= out
TIME ?= 5

RUN := $(VENV)/bin
READY := $(VENV)/.nco-installed

.PHONY: solve test lint types clean
.DELETE_ON_ERROR:

$(READY): pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --upgrade 'pip>=25.1'  # knows dependency groups
	$(RUN)/python -m pip install --quiet --editable . --group dev
	touch $@

# The CPU kernels again, after a change of their sources: none are compiled while nco runs.
KERNELS := nco/_kernels/.built
$(KERNELS): $(READY) setup.py data/kernel_build.py $(wildcard */kernels/* nco/solvers/*/kernels/*)
	$(RUN)/python setup.py --quiet build_ext --inplace
	mkdir -p $(@D) && touch $@

solve: $(READY) $(KERNELS)
	$(RUN)/nco compare data/examples --solvers hybrid policy ortools --time-limit $(TIME) \
		--out $(OUT) --plot $(OUT)/compare.png

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(READY)
	$(RUN)/mypy -p nco

# One thread a worker: the workers share the cores among themselves.
test: lint types $(KERNELS)
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n auto

clean:
	rm -rf build dist out nco/_kernels .mypy_cache .pytest_cache .ruff_cache .hypothesis
