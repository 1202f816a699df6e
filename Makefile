# SPDX-License-Identifier: Apache-2.0
# make run    set up, take the tour, open the page          make test   everything CI checks, with its set-up
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run stop test fuzz lint format bench soak interop swarm gas lock wheel docs screenshots clean

BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE ?=

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /|/' | awk -F'|' '{printf "make %-11s %s\n", $$1, $$2}'

setup: ## what Koinon runs on: .venv and the development chain
	@tools/setup.sh runtime

setup-dev: ## the same, and what tests and benchmarks need
	@tools/setup.sh dev

run: setup ## set up, start a node, take the tour, print its ledger and the page to open
	@$(BIN)/koinon up --detach
	@$(BIN)/koinon tour

stop: ## stop the node that `make run` left running
	@$(BIN)/koinon down

test: WORKERS ?= 2
test: setup-dev ## every test, by WORKERS (2) processes (with CI=true anything left out is a failure)
	@$(BIN)/python -m pytest -p tests.ci_plugin -p tests.by_file -n $(WORKERS) $(ARGS)

fuzz: TIMES ?= 25
fuzz: setup-dev ## the state machines alone, TIMES (25) as long; ARGS=tests/works for some
	@$(BIN)/python -m pytest -p tests.fuzz_plugin --times $(TIMES) $(ARGS)

lint: setup-dev ## style, types, floors, licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sources.py
	$(BIN)/python tools/vendor.py --check
	$(BIN)/python tools/check_translations.py
	$(BIN)/python tools/write_docs.py --check

format: setup-dev ## put sources in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev ## one JSON line a figure; NAME=vouchers for some
	@tools/setup.sh flower
	@tools/setup.sh uagents
	@$(BIN)/python -m benchmarks $(NAME)

soak: setup-dev ## kill a node 200 times under load, check its ledger each time, then load it for an hour
	@$(BIN)/python -m benchmarks.soak $(ARGS)

interop: setup-dev ## the contract suite on a second EVM (hardhat); recipes on Flower; ERC-8004's reference contracts
	@tools/setup.sh flower
	@$(BIN)/python -m pytest -p tests.mirror tests/works/contracts tests/learning/contracts $(ARGS)
	@$(BIN)/python -m pytest tests/interop $(ARGS)

swarm: setup-dev ## swarms of five processes over digits, trees and spam: one killed, one hostile
	@KOINON_ALL_RECIPES=1 $(BIN)/python -m pytest tests/e2e/test_swarm.py $(ARGS)

gas: setup-dev ## measure the gas of every external function again
	@$(BIN)/python -m benchmarks.gas --write

lock: setup-dev ## pin versions and hashes again
	@tools/lock.sh

docs: setup-dev ## the documents, in build/docs/site; warnings and broken links are errors
	@$(BIN)/python tools/write_docs.py

screenshots: setup-dev ## pictures of every page of the console, in build/screenshots
	@$(BIN)/python -m tools.screenshots $(ARGS)

wheel: setup-dev ## dist/koinon-*.whl
	@rm -rf dist
	@$(BIN)/python -m hatchling build -t wheel

clean: ## forget everything that was set up
	rm -rf .venv .venv-flower .venv-uagents node_modules .setup dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
