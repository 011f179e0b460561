# Two commands do everything: `make demo` and `make test`. Both create .venv and install into it, once; they do it again
# only when pyproject.toml changes. Another interpreter: make PYTHON=/path/to/python3.12. More options: make demo ARGS="--help".

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.10 python3 python)

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean

help:
	@echo "make demo   train, export and attack four models on real images; the report goes to runs/"
	@echo "make test   run every test"
	@echo "make lint   ruff, mypy and pyright"
	@echo "make clean  remove $(VENV) and what tools left behind; runs/ stays"

demo: $(VENV)/installed
	$(BIN)/mindveil demo $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

# basedpyright is pyright with its JavaScript engine in the wheel, so that nothing is downloaded when it runs.
lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) build dist src/mindveil.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The stamps are written last: an installation that was interrupted is completed next time.
$(VENV)/installed: pyproject.toml | interpreter
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/installed
	$(PIP) install --quiet --editable ".[dev]"
	@touch $@

.PHONY: interpreter
interpreter:
	@if $(PIP) --version >/dev/null 2>&1; then exit 0; fi; \
	for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; then \
	    echo "creating $(VENV) with $$("$$candidate" -V)"; \
	    exec "$$candidate" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "mindveil needs Python 3.10, 3.11 or 3.12 with its venv module, which MindSpore 2.10.0 has packages for; tried: $(CANDIDATES)." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3.11 python3.11-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
	exit 1
