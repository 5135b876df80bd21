# Everything a person types. Each target installs what it needs.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
LLAMA_CMAKE_ARGS := -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama_cpp_INCLUDE=$(CURDIR)/dev/llama-build.cmake

.PHONY: help install console demo test lint eval-smoke bench train lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(VENV)/.installed ## a local virtual environment with everything

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "Installing Setpoint into $(VENV) (llama.cpp is compiled here: about 4 to 8 minutes on two cores) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25"
	@CMAKE_ARGS="$(LLAMA_CMAKE_ARGS)" $(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --editable .
	@$(BIN)/python -m plant.warm
	@touch $@

console: install ## be the shift: a live night on a simulated site, the console in the browser
	@$(BIN)/setpoint demo --live

demo: install ## a recorded night on a simulated site, streamed through Setpoint
	@$(BIN)/setpoint demo

test: install lint ## the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

eval-smoke: install ## a few cases of every eval suite, held against evals/baseline.json (under 3 minutes)
	@if [ -f evals/baseline.json ]; then $(BIN)/setpoint eval gate --baseline evals/baseline.json --parallel 2; \
	else echo "evals/baseline.json is missing: nothing to hold the suites against (setpoint eval gate --help)" >&2; fi

bench: install ## the long measurements: alert path, storm, kill -9, triage quality, grouping
	@$(BIN)/python -m evals.bench --out var/bench

train: install ## train the bundled model again (about half an hour on one core)
	@$(BIN)/pip install --quiet "torch==2.13.0"
	@$(BIN)/python -m setpoint.learning.train --out setpoint/llm/models/setpoint-small.gguf

lock: ## resolve requirements.lock again (needs pip-tools)
	@$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-emit-options --allow-unsafe --strip-extras --extra adapters --extra eval --extra dev --output-file requirements.lock pyproject.toml

clean: ## remove the environment and all state
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
