# All that is needed: Python 3.11 or newer, and make.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV ?= uv
BIN := .venv/bin
PROJECT := pyproject.toml notifier/__init__.py

.DEFAULT_GOAL := help
.PHONY: help run test check fmt faults bench translations migration lock dev-setup

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

run: .venv/.for-running ## Start the product with made-up data; needs nothing else
	$(BIN)/notifier demo

test: .venv/.for-developing ## Run every test, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist worksteal $(args)

check: .venv/.for-developing ## Format, style, types, floors, migrations, packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict notifier tests $(wildcard benchmarks)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/test_migrations.py
	$(BIN)/python -m pip check

fmt: .venv/.for-developing ## Format the code and mend what can be mended by machine
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

faults: .venv/.for-developing ## Every fault in its long form: hours; docs/faults.md says what each shows
	NOTIFIER_FAULTS=long $(BIN)/python -m pytest tests/faults -n 2 --dist worksteal -rP $(args)

bench: .venv/.for-developing ## Run every benchmark, one after the other (args=--full for the sizes of the goals)
	@set -e; for script in $(filter-out benchmarks/common.py benchmarks/figures.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; \
		$(BIN)/python -m benchmarks.$$(basename $$script .py) $(args); done
	@$(BIN)/python -m benchmarks.figures

translations: .venv/.for-developing ## Take the pages' words into the French catalogue, and compile it
	@mkdir -p build
	$(BIN)/pybabel -q extract -F notifier/web/translations/babel.cfg -k later --no-location --sort-output -o build/pages.pot .
	$(BIN)/pybabel -q update -N --no-wrap --ignore-obsolete -i build/pages.pot -d notifier/web/translations
	$(BIN)/pybabel -q compile -d notifier/web/translations

migration: .venv/.for-developing ## Write a migration from the models: make migration m="what changes"
	@test -n '$(m)' || { echo 'Say what changes: make migration m="add the column reason"'; exit 2; }
	$(BIN)/notifier db migration '$(m)'

lock: ## Pin and hash every package anew, from pyproject.toml (needs uv; upgrade=--upgrade for the newest)
	@command -v $(UV) >/dev/null || { echo 'uv is needed to lock; or: make UV=/path/to/uv lock'; exit 2; }
	$(UV) $(COMPILE) --extra production --output-file requirements.txt pyproject.toml
	$(UV) $(COMPILE) --extra production --group dev --output-file requirements-dev.txt pyproject.toml

# No address of an index goes into the files: whoever installs says where packages come from.
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(upgrade)

dev-setup: .venv/.for-developing ## Make the environment and the hooks that check each commit
	$(BIN)/pre-commit install

.venv/bin/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed, and none was found. Install one, or: make PYTHON=/path/to/python3 ...'; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.for-running: requirements.txt $(PROJECT) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/.for-developing: requirements-dev.txt $(PROJECT) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@ .venv/.for-running
