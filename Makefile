# Everything a person types. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
BIND ?= $(or $(SECONDLOOK_BIND),127.0.0.1:8000)
DATA ?=
PYTEST_ARGS ?=
TYPED := config detection inspection review training tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What was imported once is compiled once: without it each start of a worker takes 8 s longer.
unexport PYTHONDONTWRITEBYTECODE

# The first Python from 3.11 on that really runs (a version manager's shims may not).
define find_python
for name in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "$$name"; exit 0; fi; done; \
echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python" >&2; \
exit 1
endef

.PHONY: help setup setup-dev run demo test test-long test-postgres check format measure bench accuracy \
	screenshots clean-data

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | column -t -s '|'

$(BIN)/python:
	@python=$$($(find_python)); echo "Making the virtual environment with $$python"; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); echo \
	"The module venv is missing or broken (Debian: apt-get install python3-venv)." >&2; exit 1; }

# One stamp a file of requirements: installed once per change. Not compiled beforehand: Python does
# that for what is really imported, which halves the wait (90 to 37 s from a warm cache).
$(VENV)/installed: requirements.txt | $(BIN)/python
	@echo "Installing what Secondlook runs on (about 2 GB at the first time)"
	$(BIN)/python -m pip install --no-compile -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(BIN)/python
	@echo "Installing what Secondlook and its tests run on (about 2.4 GB at the first time)"
	$(BIN)/python -m pip install --no-compile -r requirements-dev.txt
	@touch $@ $(VENV)/installed

setup: $(VENV)/installed  ## make the virtual environment and install what is pinned
setup-dev: $(VENV)/installed-dev  ## the same with what tests and checks need

# exec: Ctrl-C and a kill reach the supervisor itself, and nothing stays behind.
run: setup  ## start everything for real use (BIND=127.0.0.1:8000)
	@exec $(BIN)/python -m config.supervisor --bind "$(BIND)"

# A folder of its own: the demo's people can never sign in to a real installation.
demo: setup  ## make the demo and start everything (DATA=folder in MVTec layout)
	@SECONDLOOK_DATA="$${SECONDLOOK_DATA:-data/demo$(if $(DATA),-$(notdir $(abspath $(DATA))))}" \
		SECONDLOOK_DEMO=1 exec $(BIN)/python -m config.supervisor --demo --bind "$(BIND)" \
		$(if $(DATA),--data "$(DATA)")

test: setup-dev  ## all tests but those marked long (PYTEST_ARGS=...)
	$(BIN)/python -m pytest -m "not long" $(PYTEST_ARGS)

test-long: setup-dev  ## the tests marked long (minutes)
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

test-postgres: setup-dev  ## the same on a Postgres of their own, made and removed by the run
	$(BIN)/python -m tests.plant -- $(BIN)/python -m pytest -m "not long and not flow and not browser" $(PYTEST_ARGS)

check: setup-dev  ## lint, format, types, import rules, templates, migrations, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/djhtml --check templates
	SECONDLOOK_DATA="$$(mktemp -d)" $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/codespell

format: setup-dev  ## put code and templates into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djhtml templates

measure: setup-dev  ## how long a file takes to the queue, how many uploads a second (minutes)
	$(BIN)/python -m tests.measure.folder_to_queue
	$(BIN)/python -m tests.measure.upload_rate

bench: setup  ## how fast the vision core is here (DATA=folder of images, minutes)
	$(BIN)/python -m detection bench $(DATA)

accuracy: setup-dev  ## how accurate it is (DATA=folder that holds sets in MVTec layout, many minutes)
	$(BIN)/python -m tests.measure.accuracy --data "$(DATA)" --sets bottle,glassfiber,magnetic_tile

screenshots: setup-dev  ## the pictures of the README, from a demo that runs on BIND
	$(BIN)/python -m tests.browser.screenshots --address "http://$(BIND)"

clean-data:  ## forget all data of this folder's installation (asks first)
	@folder="$${SECONDLOOK_DATA:-data}"; read -r -p "Delete everything in $$folder? [y/N] " answer; \
	if [ "$$answer" = y ]; then rm -rf -- "$$folder"; echo "gone"; else echo "kept"; fi
