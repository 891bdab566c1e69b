# `make` alone lists the targets. PYTHON=… names the interpreter that .venv is made from.

PYTHON ?= python3
RUN := .venv/bin/python

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

PACKAGES := $(wildcard app/__init__.py models/__init__.py infrastructure/__init__.py)
LOCK := $(RUN) -m uv --quiet pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade,)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: programs .venv/project.stamp ## make .venv and bring Kafka's jars; seconds when they are there
	@$(RUN) -m infrastructure.kafka.jars >/dev/null

.PHONY: demo
demo: setup ## show the whole product at work; KEEP=1 leaves it running
	$(RUN) -m infrastructure.demo $(if $(KEEP),--keep,)

.PHONY: test
test: setup ## run all tests, against a real broker and a real MLflow server
	$(RUN) -m pytest -n 2 --dist worksteal

.PHONY: azure-test gcs-test
azure-test: setup ## bring Azurite by npm (360 MB), and serve models from it
	@$(RUN) -m infrastructure.azurite.packages
	$(RUN) -m pytest tests/e2e/test_artifact_stores.py -k azure
gcs-test: setup ## build fake-gcs-server by Go, and serve models from it
	@$(RUN) -m infrastructure.fake_gcs.program
	$(RUN) -m pytest tests/e2e/test_artifact_stores.py -k google

.PHONY: check
check: setup ## format, lint, types, import contracts and executed examples
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	.venv/bin/lint-imports
	$(RUN) -m pytest -q --doctest-modules app infrastructure tests/unit/test_docs.py

.PHONY: format
format: setup ## format the code, and repair what ruff can repair
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

.PHONY: lock
lock: setup ## compile requirements*.txt from pyproject.toml; UPGRADE=1 takes the newest versions
	$(LOCK) --output-file requirements.txt
	$(LOCK) --all-extras --constraint requirements.txt --output-file requirements-dev.txt

.PHONY: bench
bench: setup ## measure the stream against a plain loop
	$(RUN) -m tests.benchmarks.stream_against_loop

.PHONY: kafka-up kafka-down mlflow-up mlflow-down
kafka-up: setup ## start a broker that stays (none if KAFKA_BOOTSTRAP_SERVERS names one)
	@$(RUN) -m infrastructure.kafka up
kafka-down: setup ## end that broker; its data stays
	@$(RUN) -m infrastructure.kafka down
mlflow-up: setup ## start an MLflow server that stays (none if MLFLOW_TRACKING_URI names one)
	@$(RUN) -m infrastructure.mlflow_server up
mlflow-down: setup ## end that server; its data stays
	@$(RUN) -m infrastructure.mlflow_server down

.PHONY: clean
clean: ## end the local servers; remove their data, .venv and every cache
	@if [ -x $(RUN) ] && [ -d .local ]; then \
		$(RUN) -m infrastructure.kafka down; \
		$(RUN) -m infrastructure.mlflow_server down; \
	fi
	rm -rf .venv .local build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find app models infrastructure tests -name __pycache__ -prune -exec rm -rf {} +

# Each missing program is named in a line of its own, with what installs it.
.PHONY: programs
programs:
	@missing=0; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo 'python 3.11 or newer is missing: apt-get install python3 python3-venv' \
			'(or make PYTHON=python3.12 …)' >&2; \
		missing=1; \
	else \
		$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
			{ echo 'venv is missing: apt-get install python3-venv' >&2; missing=1; }; \
		$(PYTHON) -m infrastructure.java || missing=1; \
	fi; \
	exit $$missing

# pip, because it honours whatever the user has configured; hashes, because it may be anything.
.venv/requirements.stamp: requirements-dev.txt
	@echo 'installing requirements-dev.txt into .venv (a minute or two the first time)'
	@$(PYTHON) -m venv .venv
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.txt
	@touch $@

.venv/project.stamp: .venv/requirements.stamp pyproject.toml $(PACKAGES)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	@touch $@
