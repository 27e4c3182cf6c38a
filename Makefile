# `make run` and `make test` set up everything they need; `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=

BIN := $(VENV)/bin
BENCH_VENV := $(VENV)-bench
MANAGE := $(BIN)/python manage.py
# Tests wait most of the time, for processes and deadlines, so more of them run side by side than
# there are processors; those that kill and break things keep the machine busy, and few of them run
# at once; those few that measure moments have the machine to themselves, and come first, so that a
# part of the suite without such tests does not end with "no tests ran". FAULTS=0 leaves faults out.
# What is kept from the database, or is about processes and pages, runs on SQLite only.
FAULTS ?= 1
define SUITE
sh -c 'worst=0; run() { $(BIN)/python -m pytest "$$@" $(WHICH) $(ARGS); code=$$?; \
	[ $$code -eq 0 ] || [ $$code -eq 5 ] || worst=$$code; }; \
	run -m alone; run -m "not alone and not faults and not servers" -n 4 --dist worksteal; \
	[ "$(FAULTS)" = 0 ] || run -m faults -n 2 --dist worksteal; exit $$worst'
endef

# Prints the figures of every scenario.
FAULT_TESTS = $(BIN)/python -m pytest tests/faults -q --capture=no $(ARGS)

# Static checks judge the project itself, not the settings of this machine.
CLEAN_ENV := env DATABASE_URL=sqlite://:memory: DJANGO_SETTINGS_MODULE=tests.settings

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help run worker migrate test test-sqlite test-postgresql test-browser test-faults test-servers \
	servers-matrix soak \
	check lint format types floors django-checks bench bench-requests bench-dashboard clean

help: ## List the targets
	@echo "usage: make TARGET [ARGS=...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: migrate ## Serve http://127.0.0.1:8000 and host the services (HOST=, PORT=, ARGS=)
	@exec $(MANAGE) runserver $(HOST):$(PORT) $(ARGS)

worker: migrate ## Host the services in a process of their own (ARGS="--only NAME")
	@exec $(MANAGE) runworker $(ARGS)

migrate: $(VENV)/.installed .env ## Bring the database up to date
	@$(MANAGE) migrate --no-input --verbosity 0

# Both run, so that one report shows what fails where.
test: $(VENV)/.installed-dev ## Run the suite on SQLite, on a real PostgreSQL, and under the servers (ARGS="-k name")
	@status=0; \
	$(MAKE) --no-print-directory test-sqlite || status=1; \
	$(MAKE) --no-print-directory test-postgresql || status=1; \
	$(MAKE) --no-print-directory test-servers || status=1; \
	exit $$status

test-sqlite: $(VENV)/.installed-dev ## Run the whole suite on SQLite
	@echo "== tests on SQLite"
	@exec env -u DATABASE_URL $(SUITE)

test-postgresql: WHICH = --on-database
test-postgresql: $(VENV)/.installed-dev ## Run all that asks a database on a temporary PostgreSQL
	@echo "== tests on PostgreSQL"
	@exec $(BIN)/python -m tests.postgresql $(SUITE)

# No test of theirs may be among those that ARGS chooses.
SERVERS = sh -c '$(BIN)/python -m pytest -m servers -n 5 --dist worksteal $(ARGS) $(REPORT) || [ $$? -eq 5 ]'

test-servers: $(VENV)/.installed-servers ## Run the project under every server that can be installed
	@echo "== tests under the servers"
	@exec $(BIN)/python -m tests.postgresql $(SERVERS)

servers-matrix: REPORT = --junitxml=build/servers.xml
servers-matrix: $(VENV)/.installed-servers ## The same, and write what was seen into docs/servers.md
	@$(BIN)/python -m tests.postgresql $(SERVERS)
	@$(BIN)/python -m tests.servers.matrix build/servers.xml docs/servers.md

test-browser: $(VENV)/.installed-dev ## Run the browser tests, which need Chromium and its driver
	@exec env -u DATABASE_URL REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m browser $(ARGS)

test-faults: $(VENV)/.installed-dev ## Kill workers, cut connections, break databases, on both
	@status=0; \
	env -u DATABASE_URL $(FAULT_TESTS) || status=1; \
	$(BIN)/python -m tests.postgresql $(FAULT_TESTS) || status=1; \
	exit $$status

soak: export FAULTS_JOBS = 60000
soak: export FAULTS_KILLS = 30
soak: export FAULTS_LEASE_KILLS = 50
soak: export SERVERS_RESTARTS = 200
soak: test-faults $(VENV)/.installed-servers ## The same with many more jobs, faults and restarts, which takes a while
	@exec $(BIN)/python -m tests.postgresql $(BIN)/python -m pytest tests/servers/test_rolling_restarts.py -q --capture=no

check: lint types floors django-checks ## Run every static check

lint: $(VENV)/.installed-dev ## Check the style with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }

format: $(VENV)/.installed-dev ## Repair what ruff can repair
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

types: $(VENV)/.installed-dev ## Check the types with mypy
	@$(CLEAN_ENV) $(BIN)/python -m mypy

floors: $(VENV)/.installed-dev ## Check who may import whom
	@$(BIN)/lint-imports --no-cache

django-checks: $(VENV)/.installed-dev ## Check the Django project and that no migration is missing
	@$(CLEAN_ENV) $(BIN)/python -W error manage.py check --fail-level WARNING
	@$(CLEAN_ENV) $(BIN)/python -W error manage.py makemigrations --check --dry-run

bench: $(BENCH_VENV)/.installed ## Measure the queue beside its peers (ARGS="--quick", ARGS=--help)
	@exec $(BENCH_VENV)/bin/python -m bench $(ARGS)

bench-requests: $(BENCH_VENV)/.installed ## Measure what hosting costs a web process's requests (ARGS=--help)
	@exec $(BENCH_VENV)/bin/python -m bench.requests $(ARGS)

bench-dashboard: $(VENV)/.installed-dev ## Measure the pages of the dashboard with a million rows (ARGS="--plans")
	@exec $(BIN)/python -m bench.dashboard $(ARGS)

clean: ## Remove the environment and the caches, but no database and no .env
	rm -rf $(VENV) $(BENCH_VENV) build dist staticfiles *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.env:
	@cp .env.example $@

# An environment without a working pip is half made, or of a Python that is gone: it is made anew.
define create_environment
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found; Python 3.11 or newer is needed: make PYTHON=/path/to/python"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=/path/to/python"; exit 1; } >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "creating $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
endef

PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet --quiet --requirement

$(VENV)/.installed: requirements.txt
	$(create_environment)
	@echo "installing requirements.txt"
	@$(PIP_INSTALL) requirements.txt
	@touch $@

# The peers have an environment of their own. One that cannot be installed is skipped by the bench.
$(BENCH_VENV)/.installed: BIN = $(BENCH_VENV)/bin
$(BENCH_VENV)/.installed: VENV = $(BENCH_VENV)
$(BENCH_VENV)/.installed: bench/requirements.txt bench/peers.txt requirements.txt
	$(create_environment)
	@echo "installing bench/requirements.txt"
	@$(PIP_INSTALL) bench/requirements.txt
	@while read -r peer; do \
		echo "installing $$peer"; $(PIP_INSTALL) /dev/null $$peer || echo "skipping $$peer"; \
	done < bench/peers.txt
	@touch $@

# A server that cannot be installed is skipped by its tests.
$(VENV)/.installed-servers: requirements-servers.txt $(VENV)/.installed-dev
	@echo "installing requirements-servers.txt"
	@grep -v '^#' requirements-servers.txt | while read -r server; do \
		$(PIP_INSTALL) /dev/null "$$server" || echo "skipping $$server"; \
	done
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt
	$(create_environment)
	@echo "installing requirements-dev.txt"
	@$(PIP_INSTALL) requirements-dev.txt
	@touch $(VENV)/.installed $@
