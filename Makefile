# Two commands set everything up on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest
BESIDE := --numprocesses logical --dist loadfile     # a file's tests share one process and its fixtures
AGAIN  := timeout 2400 $(PYTEST) --last-failed   # what failed; all where a process died, for then the run never ends
REST   := large or browser or cluster

.PHONY: demo check test test-all fast fuzz lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/python run_live.py demo

# While you work: lint and fast tests, side by side.
check: $(VENV)/.dev
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint fast

fast: $(VENV)/.dev
	$(PYTEST) $(BESIDE) -m "not (slow or clock or $(REST))"

# Before you commit: every test but those of the next target. What goes by the clock runs alone.
test: $(VENV)/.dev
	timeout 2400 $(PYTEST) --cache-clear $(BESIDE) -m "not (clock or $(REST))" || $(AGAIN) $(BESIDE) -m "not (clock or $(REST))"
	$(PYTEST) -m "clock and not ($(REST))" || $(AGAIN) -m "clock and not ($(REST))"

# What needs a browser, a cluster, an inference server, or networks at full size, too.
test-all: test
	$(PYTEST) -m "$(REST)"

# Many more damaged recordings than `make test` reads; FUZZ_FIRST is the first seed.
fuzz: $(VENV)/.dev
	FUZZ_COUNT=$${FUZZ_COUNT:-50000} $(PYTEST) tests/realtime/capture/sources/test_fuzz.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

$(VENV)/.runtime: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
