# One door for people and CI: every job is a word here, and CI says the same words.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
ENV := .venv/.made
CODE := src tests benchmarks
WORKERS ?= auto

.PHONY: help
help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: env
env: $(ENV) ## the environment in .venv, from the lock file

$(ENV): pyproject.toml uv.lock scripts/env
	@scripts/env

.PHONY: check
check: $(ENV) ## format, lint, types, imports; no test is run
	@$(MAKE) --no-print-directory --keep-going format lint types imports

.PHONY: format lint types imports
format: $(ENV)
	$(BIN)/ruff format --check --quiet
lint: $(ENV)
	$(BIN)/ruff check --quiet
types: $(ENV)
	$(BIN)/mypy $(wildcard $(CODE))
imports: $(ENV)
	$(BIN)/lint-imports --no-logo

.PHONY: fix
fix: $(ENV) ## what the tools can mend by themselves
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format

.PHONY: peers
peers: $(ENV) ## the real programs that tests talk to (git, sshd, PostgreSQL, Kubernetes …)
	@scripts/testbed
	@scripts/testbed-go
	@scripts/testbed-image
	@scripts/testbed-machine
	@scripts/testbed-ansible

.PHONY: test
test: $(ENV) peers ## everything: peers are obtained, all tests are run
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=5 --durations-min=5 $(ARGS)

.PHONY: unit
unit: $(ENV) ## the quick tests only
	$(BIN)/pytest -q tests/unit tests/architecture $(ARGS)

.PHONY: sizes
sizes: $(ENV) ## the largest files and functions
	@$(BIN)/python -m tests.architecture.reading

.PHONY: coverage
coverage: $(ENV) ## engine and model, by branches; fails under 95 %
	$(BIN)/pytest -q -n $(WORKERS) tests/unit tests/properties --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

.PHONY: properties
properties: $(ENV) ## the property tests, 10,000 histories each
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -n $(WORKERS) --timeout=0 tests/properties $(ARGS)

.PHONY: soak
soak: $(ENV) ## kills a real agent at hundreds of lines and looks at what is left
	UNDRIFT_SOAK=$(or $(KILLS),400) $(BIN)/pytest --timeout=0 tests/e2e/test_crash.py $(ARGS)

.PHONY: demo
demo: $(ENV) ## the main job, seen at work on this machine; ONCE=1 ends after the story
	@$(BIN)/undrift demo $(if $(ONCE),--once)

.PHONY: demo-kubernetes
demo-kubernetes: $(ENV) peers ## the same on a cluster: the control plane of the tests; ONCE=1 ends after the story
	@.venv/bin/python scripts/demo-kubernetes $(if $(ONCE),--once)

.PHONY: image
image: $(ENV) peers ## the container image, an OCI layout in build/image; no engine is needed
	@scripts/image

.PHONY: image-ci
image-ci: $(ENV) peers ## the image that CI runs jobs in, with Helm, Kustomize and SOPS, in build/image-ci
	@scripts/image --ci

.PHONY: bench
bench: $(ENV) ## NAME=plan-100k: one benchmark; without NAME all of them
	@scripts/bench $(NAME)

.PHONY: docs
docs: $(ENV) ## the documentation, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: lock
lock: ## the lock file, after a change of pyproject.toml
	@scripts/env --lock

.PHONY: clean
clean: ## removes all that was made
	rm -rf .venv .uv build dist site .coverage .coverage.* htmlcov .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
