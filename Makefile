# Two commands, each complete in itself: `make demo` and `make test`.
# Both make .venv with the project in it first, where it is not there yet.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types docs wheel-check install clean

demo: install
	$(BIN)/improved-gan demo --out runs/demo

# Compiled files are kept whatever the environment says: each of its processes would compile our modules and tests anew.
test: install
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# The site, without internet: docs/_build/html/index.html. It runs the examples, which takes three minutes on two cores.
docs: install
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py

# The wheel in a fresh environment outside the checkout: demo, classify, report, kernels, theory, turing-test.
wheel-check: install
	.ci/wheel-check

install: $(VENV)/installed

# uv where it is present (several times as fast), else pip. torch comes first and pinned, so that nothing pulls another.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "improved-gan needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing improved-gan into $(VENV) (a few minutes the first time)"
	@if command -v uv > /dev/null; then \
	  UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache docs/_build docs/gallery docs/reference/api
