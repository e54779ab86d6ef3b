# Everything a person does to this project. GNU make 3.81 is enough.

SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest

# The first interpreter that really is 3.11 or later: a name may be a shim for nothing.
FIND_PYTHON = for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && { echo "$$name"; exit; }; \
	done; echo missing
SETUP = python=$$($(FIND_PYTHON)); \
	if [ "$$python" = missing ]; then \
	  echo "no Python 3.11 or later found; install one, or say make PYTHON=/path/to/python" >&2; exit 1; \
	fi; \
	"$$python" scripts/install.py $(VENV)

.DEFAULT_GOAL := help
.PHONY: help run test quick lint format types contracts docs check wheel surface pages bench reliability \
	chaos soak fuzz lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

run:  ## record into .state here: eventbus up, until Ctrl-C (ARGS="--help" for more)
	@$(SETUP) run
	@exec $(VENV)/bin/eventbus up $(ARGS)

test:  ## the whole test suite (ARGS="-k lane" for a part)
	@$(SETUP) test
	$(PYTEST) $(ARGS)

quick:  ## the part of the suite that takes seconds
	@$(SETUP) test
	$(PYTEST) -m "not slow" $(ARGS)

lint:  ## ruff: rules and format; deptry: what is declared is what is imported
	@$(SETUP) lint
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(VENV)/bin/deptry .

format:  ## let ruff put the code in form
	@$(SETUP) lint
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

types:  ## mypy, strict
	@$(SETUP) lint
	$(PY) -m mypy

contracts:  ## who may import whom
	@$(SETUP) lint
	$(VENV)/bin/lint-imports --no-logo

docs:  ## every block, link and example of the documentation
	@$(SETUP) test
	$(PYTEST) tests/test_docs.py

wheel:  ## build the wheel and try it in an empty environment
	@$(SETUP) test
	$(PY) scripts/try_wheel.py

check: test lint types contracts wheel  ## all that CI asks for, on one interpreter

surface:  ## write down the public surface anew, for review in the diff
	@$(SETUP) test
	$(PY) -m scripts.surface > tests/surface.txt

pages: surface  ## generate docs/events.md, cli.md, reliability.md, prices.json and the public surface anew
	$(PY) -m scripts.generate_events_page > docs/events.md
	$(PY) -m scripts.generate_cli_page
	$(PY) -m scripts.generate_reliability_page
	$(PY) -m scripts.generate_prices > eventbus/prices.json.new
	mv eventbus/prices.json.new eventbus/prices.json

bench:  ## python -m benchmarks (ARGS="emit --json out.json")
	@$(SETUP) bench
	$(PY) -m benchmarks $(ARGS)

reliability:  ## try every promise and write docs/reliability.md (EVENTBUS_LONG=1: the long counts)
	@$(SETUP) test
	$(PYTEST) tests/reliability $(if $(EVENTBUS_LONG),-o timeout=86400 -o faulthandler_timeout=0) \
	  --reliability-json docs/reliability.json $(ARGS); outcome=$$?; \
	  $(PY) -m scripts.generate_reliability_page && exit $$outcome

# The long forms: every count at its long-run target, and no bound on one test but a day.
LONG = EVENTBUS_LONG=1 $(PYTEST) tests/reliability -o timeout=86400 -o faulthandler_timeout=0 \
  --reliability-json docs/reliability.json
SOAK = r11 or r24
FUZZ = r04 or r08 or r12 or r14 or r26

chaos:  ## long: kills, power cuts, full disks, forks, broken files
	@$(SETUP) test
	$(LONG) -k "not ($(SOAK) or $(FUZZ))" $(ARGS)

soak:  ## long: load for hours, watched for leaks and for what memory does
	@$(SETUP) test
	$(LONG) -k "$(SOAK)" $(ARGS)

fuzz:  ## long: random input, random values, random schedules
	@$(SETUP) test
	$(LONG) -k "$(FUZZ)" $(ARGS)

lock:  ## pin the newest of everything allowed (needs uv)
	scripts/lock.sh

clean:  ## remove what was built, and the environment; .state stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
