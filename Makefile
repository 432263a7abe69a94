# Two commands set everything up on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# What waits for the clock runs alone; what goes by media time alone need not.
MEDIA_TIME := $(addprefix tests/realtime/,test_baseline_session.py test_landmark_session.py test_simulated_source.py analysis \
    capture/views)
CLOCKED := $(filter-out $(MEDIA_TIME) %__init__.py %conftest.py %.toml %__pycache__,$(wildcard tests/realtime/* tests/realtime/capture/*)) \
    tests/benchmarks tests/engines/runtimes/test_gpu.py
CLOCKED := $(filter-out tests/realtime/capture,$(CLOCKED))

.PHONY: demo test fuzz lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/python run_live.py demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses logical --dist loadfile $(addprefix --ignore=,$(CLOCKED))
	$(BIN)/python -m pytest $(CLOCKED)

# Many more damaged recordings than `make test` reads; FUZZ_FIRST is the first seed.
fuzz: $(VENV)/.dev
	FUZZ_COUNT=$${FUZZ_COUNT:-50000} $(BIN)/python -m pytest tests/realtime/capture/sources/test_fuzz.py

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
