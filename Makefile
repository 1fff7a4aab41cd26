# make demo    sets everything up and runs the main job on digits, in less than five minutes
# make test    sets everything up and runs all checks and tests
# make bench   measures speed and memory against alternatives (installs PyTorch)
# make docs    builds the documentation site into site/
# make lint    runs the checks without the tests
# make clean   removes what the above have made
#
# Needs Python 3.11 or later, git and make. PYTHON=... chooses the interpreter.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

VENV := .venv
BIN := $(VENV)/bin
# Byte code is compiled on all cores afterwards, several times faster than pip does it. Files that
# are not for this version of Python do not compile, and need not.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true

.PHONY: demo test bench docs lint clean

demo: $(VENV)/ready
	$(BIN)/l2o demo --out runs/demo

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

bench: $(VENV)/ready-for-bench
	$(BIN)/pytest benchmarks -p no:xdist

# Not --quiet, which would hide warnings from --strict. The variable silences a notice of the theme.
docs: $(VENV)/ready-for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/ready-for-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks runs/demo site

# Empty files that say what has been installed, so that it is not done again.
$(VENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Installing into $(VENV) with $(PYTHON); the first time this takes a minute or two."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) "pip>=25.1"
	@$(INSTALL) --editable . --constraint constraints.txt
	@$(COMPILE)
	@touch $@

$(VENV)/ready-for-test: $(VENV)/ready
	@$(INSTALL) --group test --constraint constraints.txt
	@$(COMPILE)
	@touch $@

$(VENV)/ready-for-bench: $(VENV)/ready-for-test
	@$(INSTALL) --group bench --constraint constraints.txt
	@$(COMPILE)
	@touch $@

$(VENV)/ready-for-docs: $(VENV)/ready
	@$(INSTALL) --group docs --constraint constraints.txt
	@$(COMPILE)
	@touch $@

