# Every target makes its own virtual environment as it needs one; nothing is installed outside this folder.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-long lint bench bench-full crash screenshots images catalog clean

help:
	@echo "make demo    replay the bundled alerts, then the whole story on an embedded TheHive and Cortex"
	@echo "make test    everything CI runs: set-up, lint, types, tests"
	@echo "make test-long  what takes too long for CI: container images built by Buildah, and run"
	@echo "make lint    ruff and mypy only"
	@echo "make bench   the benchmarks, as ratios to the baselines written beside them"
	@echo "make screenshots  the pictures in docs/screenshots, taken again"
	@echo "make crash   kill the service 300 times, with faults on, and see whether it kept its promises"
	@echo "make images  all container images; make catalog  the catalogs for Cortex over HTTP"
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
	@$(BIN)/propolis demo --report demo-out/report.html

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python tests/run_all.py

test-long: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m long

bench: $(VENV)/dev.stamp
	$(BIN)/python bench/bench_start.py
	$(BIN)/python bench/bench_replay.py --full
	$(BIN)/python bench/bench_consensus.py
	$(BIN)/python bench/bench_intake.py
	$(BIN)/python bench/bench_engine.py
	$(BIN)/python bench/bench_feed.py
	$(BIN)/python bench/bench_cluster.py
	$(BIN)/python bench/bench_metrics.py
	$(BIN)/python bench/bench_report.py
	$(BIN)/python bench/bench_console.py

bench-full: $(VENV)/dev.stamp
	$(BIN)/python bench/bench_cluster.py --full
	$(BIN)/python tests/crash/cluster.py --full

screenshots: $(VENV)/dev.stamp
	$(BIN)/python tests/playbook_service/console/screenshots.py

crash: $(VENV)/dev.stamp
	$(BIN)/python tests/crash/harness.py --points --kills 300

REGISTRY ?= propolis
TAG      ?= $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' propolis/__init__.py)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DOCKER   ?= docker

# Workers and images come from the script that also writes the catalogs, so neither can know one more than the other.
images:
	@$(PYTHON) deploy/catalog.py --registry $(REGISTRY) --tag $(TAG) --images | while read -r worker image; do \
	  $(DOCKER) build -f Dockerfile.analyzers --build-arg WORKER=$$worker --build-arg VERSION=$(TAG) \
	    --build-arg REVISION=$(REVISION) -t $$image . </dev/null || exit 1; done
	@$(DOCKER) build -f Dockerfile.service --build-arg VERSION=$(TAG) --build-arg REVISION=$(REVISION) \
	  -t $(REGISTRY)/service:$(TAG) .

catalog:
	@$(PYTHON) deploy/catalog.py --registry $(REGISTRY) --tag $(TAG) --out catalog

clean:
	rm -rf $(VENV) demo-out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
