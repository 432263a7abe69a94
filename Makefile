# Two commands set everything up on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest
# Side by side. A file's tests share one process and its fixtures. A process that dies is not replaced, because
# the new one would block: the other process runs the remaining tests.
BESIDE := $(PYTEST) --numprocesses logical --dist loadfile --max-worker-restart 0
# Tests of these markers; what failed runs once more, with nothing beside it.
TESTS   = $(BESIDE) -m "$(1)" || $(PYTEST) --last-failed -m "$(1)"
REST   := large or long or browser or cluster

.PHONY: demo check test test-all fast fuzz lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/python run_live.py demo

# While you work: lint and fast tests, side by side.
check: $(VENV)/.dev
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint fast

fast: $(VENV)/.dev
	$(BESIDE) -m "not (slow or clock or $(REST))"

# Before you commit: every test but those of the next target.
test: $(VENV)/.dev
	$(call TESTS,not (clock or $(REST)))
	$(call TESTS,clock and not ($(REST)))

# What needs a browser, a cluster, an inference server, networks at full size or more than a few seconds, too.
test-all: test
	$(call TESTS,$(REST))

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
