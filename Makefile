# Every target makes its own virtual environment as it needs one; nothing is installed outside this folder.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help demo test lint bench crash clean

help:
	@echo "make demo    replay the bundled alerts, then the whole story on an embedded TheHive and Cortex"
	@echo "make test    everything CI runs: set-up, lint, types, tests"
	@echo "make lint    ruff and mypy only"
	@echo "make bench   the benchmarks, as ratios to the baselines written beside them"
	@echo "make crash   kill the service 300 times, with faults on, and see whether it kept its promises"
	@echo "make clean   remove what these made"

$(VENV)/run.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/run.stamp
	@mkdir -p demo-out
	@$(BIN)/propolis replay --samples --format html --output demo-out/replay.html
	@$(BIN)/propolis replay --samples
	@echo
	@echo "The same as a page: demo-out/replay.html"
	@echo
	@$(BIN)/propolis demo

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python tests/run_all.py

bench: $(VENV)/dev.stamp
	$(BIN)/python bench/bench_start.py
	$(BIN)/python bench/bench_replay.py --full
	$(BIN)/python bench/bench_consensus.py
	$(BIN)/python bench/bench_intake.py
	$(BIN)/python bench/bench_engine.py
	$(BIN)/python bench/bench_feed.py

crash: $(VENV)/dev.stamp
	$(BIN)/python tests/crash/harness.py --points --kills 300

clean:
	rm -rf $(VENV) demo-out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
