# Everything starts here; `make help` lists it. Needs Python 3.11, 3.12 or 3.13, and nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3.12 python3.13 python3.11 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { command -v $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

# uv is quicker where it is at hand; pip does the same. Both take exactly what the lock file names, by hash.
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on PATH. Install one, or: make $@ PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing $(1) into $(VENV) …"
	$(if $(UV),@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(1),@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1))
	$(if $(UV),@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .,@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .)
	@touch $@
endef

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: install
install: $(VENV)/.run ## Build .venv with what a user needs

$(VENV)/.run: locks/run.txt pyproject.toml
	$(call install,locks/run.txt)

$(VENV)/.dev: locks/dev.txt pyproject.toml
	$(call install,locks/dev.txt)
	@touch $(VENV)/.run

.PHONY: run
run: $(VENV)/.run ## Run the morning: on your database (SHOP_DATABASE_URL) or on a simulated shop
	@$(BIN)/daybreak shop start
	@$(BIN)/daybreak run

.PHONY: ui
ui: $(VENV)/.run ## Open the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/daybreak shop start
	@$(BIN)/daybreak ui

.PHONY: stop
stop: $(VENV)/.run ## Stop the simulated shop's PostgreSQL
	@$(BIN)/daybreak shop stop

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: test
test: $(VENV)/.dev ## Run the quick tests (some eight minutes on two cores)
	@$(PYTEST) -m "not slow and not long"

.PHONY: test-all
test-all: $(VENV)/.dev ## Run all tests but the longest proofs (some forty minutes on two cores)
	@$(PYTEST) -m "not long"

.PHONY: proofs
proofs: $(VENV)/.dev ## Run the longest proofs: every boundary, every page, five thousand days (hours)
	@$(PYTEST) -m long

N ?= 200
.PHONY: torture
torture: $(VENV)/.dev ## Kill syncs and mornings N times (200) at random, and prove that nothing is lost
	@$(BIN)/python -m tests.crash.torture --n $(N) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: sabotage
sabotage: $(VENV)/.dev ## Break the pipeline in some eighty ways, and print which check caught which
	@$(BIN)/python -m tests.sabotage.report

.PHONY: lint
lint: $(VENV)/.dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@cd dbt_project && for dialect in duckdb snowflake; do \
	../$(BIN)/sqlfluff lint --dialect $$dialect --disable-progress-bar models macros tests || exit 1; done

.PHONY: format
format: $(VENV)/.dev ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(VENV)/.run ## Renew what is generated: the tables of docs/catalog.md and the catalog's JSON schema
	@$(BIN)/python -m pipelines.catalog.document

# The tests' versions first, then the user's among them: what is tested is what is installed.
COMPILE := uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

.PHONY: lock
lock: ## Choose versions anew within pyproject.toml (needs uv)
	$(COMPILE) --group dev --extra s3 -o locks/dev.txt
	$(COMPILE) -c locks/dev.txt -o locks/run.txt
