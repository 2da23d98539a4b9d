# Two commands matter: `make run` and `make test`. Both set up what they need in .venv, from pinned and hashed lists.
PYTHON ?= python3
BIN := .venv/bin
ISSUE_DATE ?= 2026-05-01

.PHONY: help run test lint unit integration acceptance browser nightly bench help-text lock clean

help:
	@echo "make run      gather, compose and put the demo issue of $(ISSUE_DATE) in var/outbox"
	@echo "make test     everything: style, types, tests"
	@echo "make unit | integration | acceptance | browser | lint    a part of it"
	@echo "make nightly  longer campaigns: more examples, real feed corpora"
	@echo "make bench    measure: benchmarks/RESULTS.md (SIZE=full for the whole)"
	@echo "make lock     renew the pinned lists after a change in pyproject.toml"
	@echo "make clean    take away .venv and var/ (the demo's database and outbox)"

run: .venv/run.done
	$(BIN)/digest run monthly --on $(ISSUE_DATE)

test: lint unit integration acceptance browser
	@echo "All tests passed."

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/test.done
	$(BIN)/pytest -n 2 tests/unit

acceptance: .venv/test.done
	$(BIN)/pytest -n 2 --dist loadfile tests/acceptance

integration: .venv/test.done
	@sh tests/integration/providers/get-postfix
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/integration

browser: .venv/test.done
	@sh tests/browser/get-chromium
	$(BIN)/pytest -n 2 --dist loadfile tests/browser

nightly: .venv/test.done
	DIGEST_TEST_EXAMPLES=nightly $(BIN)/pytest tests/unit tests/integration
	$(BIN)/python benchmarks/feed_corpora.py

.venv/bin/uv: requirements-setup.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "digest needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.lock
	@touch $@

# The test list holds the runtime list too, so whoever has it needs nothing more to run.
.venv/run.done: .venv/bin/uv requirements.lock pyproject.toml
	@test -e .venv/test.done || $(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --offline --python $(BIN)/python --editable .
	@touch $@

.venv/test.done: .venv/bin/uv requirements-dev.lock pyproject.toml
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --offline --python $(BIN)/python --editable .
	@touch $@ .venv/run.done

# SIZE=full takes an hour. A figure that is missing or a benchmark that fails is said, and makes this fail.
bench: .venv/test.done
	$(BIN)/python -m benchmarks.suite --size $(or $(SIZE),small)

# After a command was added or described anew: what `digest --help` prints without importing any of them.
help-text: .venv/test.done
	@$(BIN)/python -c 'from digest.cli.commands import help_text; print(help_text(), end="")' > digest/cli/help.txt

lock: .venv/bin/uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --group build --group dev --extra scale --extra oidc -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv var
