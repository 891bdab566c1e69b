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
LOCK := $(RUN) -m uv --quiet pip compile --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade,)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: programs .venv/project.stamp ## make .venv and bring Kafka's jars; seconds when they are there
	@$(RUN) -m infrastructure.kafka.jars >/dev/null

.PHONY: install
install: .venv/project.stamp ## make .venv alone, which training needs

.PHONY: workflow-local
workflow-local: setup ## run the steps of train-and-deploy-model.yml, on a local MLflow and broker
	$(RUN) -m infrastructure.workflow

.PHONY: demo
demo: setup ## show the whole product at work; KEEP=1 leaves it running
	$(RUN) -m infrastructure.demo $(if $(KEEP),--keep,)

.PHONY: test
test: setup ## run all tests, against a real broker and a real MLflow server
	$(RUN) -m pytest -n 3 --dist worksteal

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
	$(LOCK) pyproject.toml --output-file requirements.txt \
		--extra mlflow-login --extra postgresql --extra s3
	$(LOCK) pyproject.toml --all-extras --constraint requirements.txt \
		--output-file requirements-dev.txt
	$(LOCK) infrastructure/requirements-build.in \
		--output-file infrastructure/requirements-build.txt

.PHONY: bench
bench: setup ## measure the stream against a plain loop
	$(RUN) -m tests.benchmarks.stream_against_loop

# --- containers: podman, or docker where it is not there ---
ENGINE ?= $(shell command -v podman || command -v docker || echo podman)
IMAGE ?= localhost/ds-models:dev
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git rev-parse HEAD)$(shell test -z "$$(git status --porcelain)" || echo -dirty)

.PHONY: image image-test
image: ## build the image that serves every role; IMAGE=… names it
	BUILDAH_FORMAT=docker $(ENGINE) build --file infrastructure/Containerfile --tag $(IMAGE) \
		--label org.opencontainers.image.version=$(VERSION) \
		--label org.opencontainers.image.revision=$(REVISION) .
image-test: setup ## check that image: its user, its layers, how it ends
	IMAGE_UNDER_TEST=$(IMAGE) ENGINE=$(ENGINE) $(RUN) -m pytest tests/image

COMPOSE ?= $(if $(findstring podman,$(ENGINE)),$(abspath .venv/bin/podman-compose),docker compose)

.PHONY: stack-env stack-up stack-down stack-backup stack-restore stack-test
stack-env: setup ## write the secrets of the stack, made at random, into infrastructure/.env
	@$(RUN) -m infrastructure.stack.environment
stack-up: stack-env image ## start the whole product in containers, or its newer image; STREAMS=3: three of the stream
	@ENGINE=$(ENGINE) COMPOSE="$(COMPOSE)" STREAMS=$(STREAMS) $(RUN) -m infrastructure.stack.up
stack-down: setup ## end them; VOLUMES=1 removes their data too
	cd infrastructure && $(COMPOSE) --profile monitoring down --remove-orphans $(if $(VOLUMES),--volumes,)
stack-backup: setup ## copy all that the stack holds, while it runs: TO=backups/today
	@ENGINE=$(ENGINE) $(RUN) -m infrastructure.stack.backup '$(TO)'
stack-restore: setup image ## make a new stack of such a copy: FROM=backups/today
	@$(RUN) -m infrastructure.stack.environment --no-secrets
	@ENGINE=$(ENGINE) COMPOSE="$(COMPOSE)" $(RUN) -m infrastructure.stack.restore '$(FROM)' $(if $(YES),--yes,)
stack-test: setup ## try a stack of its own, from nothing to nothing: load, scale, kill, restart
	ENGINE=$(ENGINE) COMPOSE="$(COMPOSE)" $(RUN) -m tests.stack

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
