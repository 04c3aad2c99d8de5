# Everything for developing and trying out this project. `make help` lists the entries.

PYTHON ?= python3
BIN := .venv/bin
OFFICIAL := .venv-official
OFFICIAL_VERSION := 1.7.0
DURABLETASK_VERSION := 1.12.0
OLDEST_AGENTS := 0.2.4
OLDEST_OPENAI := 1.98.0
DBOS_VERSION := 3.4.0
NPM_VERSION := 3.5.0
N ?= 2000
KILLS ?= 1000
ROUNDS ?= 7
# Where the genuine Durable Task extension may lie, built; tests/genuine/README.md.
GENUINE ?= ../shared/genuine
# Where a script may lie that runs the official package's own tests against an interpreter's.
CHECKS ?= ../shared/checks

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types conformance officialtests genuine samples openai pythons storm fuzz chaos bench peers matrix docs venv official clean

help: ## List the entries
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' \
		| awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: venv ## Run a workflow, kill its host in the middle, and see it finish
	@$(BIN)/python samples/demo.py

test: venv official ## Run the test suite
	@echo "Running the tests on all cores."
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --ignore tests/genuine

check: lint types officialtests docs conformance samples openai pythons storm genuine test ## Everything that CI runs

lint: venv ## Style, format and spelling
	@echo "Checking style, format and spelling."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell azure docs samples tests benchmarks README.md CONTRIBUTING.md CHANGELOG.md Makefile

types: venv ## mypy --strict and pyright strict
	@echo "Checking types."
	@$(BIN)/mypy
	@$(BIN)/mypy samples/order_saga/function_app.py
	@$(BIN)/basedpyright

samples: venv official ## The samples with the official package in the worker
	@echo "Running the samples with azure-functions-durable $(OFFICIAL_VERSION) in the worker."
	@SAMPLES_WORKER_PYTHON=$(CURDIR)/$(OFFICIAL)/bin/python $(BIN)/python -m pytest -q samples

conformance: venv official ## The conformance statements with two workers, and with the official package
	@echo "Checking the conformance statements with two workers that keep sessions."
	@CONFORMANCE_OPTIONS="--workers 2 --sessions" $(BIN)/python -m pytest -q tests/local/test_conformance.py
	@echo "Checking them with azure-functions-durable $(OFFICIAL_VERSION) in the worker."
	@CONFORMANCE_OPTIONS="--worker-python $(CURDIR)/$(OFFICIAL)/bin/python" \
		$(BIN)/python -m pytest -q tests/local/test_conformance.py

genuine: venv official ## Microsoft's own extension runs our SDK, where it is at hand (GENUINE=folder)
	@GENUINE=$(GENUINE) $(BIN)/python tests/genuine/run.py

openai: .venv-openai/ready ## Agents with the oldest libraries that are supported
	@echo "Running the tests of agents with openai-agents $(OLDEST_AGENTS)."
	@.venv-openai/bin/python -m pytest -q tests/openai_agents samples/openai_agents

officialtests: venv ## The official package's own tests against this one, where CHECKS has them
	@if [ -x $(CHECKS)/official ]; then \
		echo "Running the tests of azure-functions-durable $(OFFICIAL_VERSION) against this package."; \
		$(CHECKS)/official $(CURDIR)/$(BIN)/python; \
	else echo "There is no $(CHECKS)/official here: the official package's own tests are left out."; fi

storm: venv ## A kill storm of a minute
	@echo "Killing hosts and workers for a minute."
	@cd tests/local && ../../$(BIN)/python chaos.py --seconds 45 --kills 1000

fuzz: venv official ## N random programs against the official package, and on the double of the extension (N=20000)
	@cd tests/differential && ../../$(BIN)/python fuzz.py $(N)

chaos: venv ## A long kill storm (KILLS=1000)
	@cd tests/local && ../../$(BIN)/python chaos.py --kills $(KILLS)

bench: venv official peers ## SDK and engine beside their peers; writes benchmarks/results.md
	@$(BIN)/python benchmarks/bench.py --rounds $(ROUNDS)

pythons: venv ## Start the host and run a chain on every Python of this machine
	@echo "Running a chain on every Python that is here."
	@$(BIN)/python tests/pythons.py

matrix: venv ## The suite with oldest and newest libraries on every Python found (PYTHONS=...)
	@$(BIN)/python tests/matrix.py $(PYTHONS)

docs: venv ## Build the documentation into site/
	@echo "Building the documentation."
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

venv: .venv/ready ## The development environment in .venv

.venv/ready: requirements.txt pyproject.toml
	@echo "Setting up .venv with the development set (a minute, once)."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade pip setuptools
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.txt \
		--editable '.[local,openai]' --config-settings editable_mode=compat
	@touch $@

.venv-openai/ready: pyproject.toml
	@echo "Setting up .venv-openai with openai-agents $(OLDEST_AGENTS)."
	@$(PYTHON) -m venv .venv-openai
	@.venv-openai/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip setuptools
	@.venv-openai/bin/python -m pip install -qq --disable-pip-version-check \
		openai==$(OLDEST_OPENAI) openai-agents==$(OLDEST_AGENTS) pytest furl \
		--editable '.[local,openai]' --config-settings editable_mode=compat
	@touch $@

official: $(OFFICIAL)/ready ## The official package, as bytecode, in an environment of its own

# A black box: an oracle for tests and a peer in benchmarks. Its sources are deleted, and so is the
# top-level folder "tests" that its wheel brings along.
$(OFFICIAL)/ready:
	@echo "Setting up $(OFFICIAL) with azure-functions-durable $(OFFICIAL_VERSION), the official package."
	@$(PYTHON) -m venv $(OFFICIAL)
	@$(OFFICIAL)/bin/python -m pip install -qq --disable-pip-version-check \
		azure-functions-durable==$(OFFICIAL_VERSION)
	@cd $(OFFICIAL)/lib/python*/site-packages && rm -rf tests \
		&& ../../../bin/python -m compileall -q -b azure/durable_functions \
		&& find azure/durable_functions -name '*.py' -delete
	@touch $@

peers: .venv-durabletask/ready .venv-dbos/ready .npm/ready ## What `make bench` measures beside ours

.venv-durabletask/ready:
	@echo "Setting up .venv-durabletask with durabletask $(DURABLETASK_VERSION), as bytecode."
	@$(PYTHON) -m venv .venv-durabletask
	@.venv-durabletask/bin/python -m pip install -qq --disable-pip-version-check \
		durabletask==$(DURABLETASK_VERSION)
	@cd .venv-durabletask/lib/python*/site-packages && rm -rf tests \
		&& ../../../bin/python -m compileall -q -b durabletask && find durabletask -name '*.py' -delete
	@touch $@

.venv-dbos/ready:
	@echo "Setting up .venv-dbos with DBOS $(DBOS_VERSION)."
	@$(PYTHON) -m venv .venv-dbos
	@.venv-dbos/bin/python -m pip install -qq --disable-pip-version-check dbos==$(DBOS_VERSION)
	@touch $@

# A black box too. Where there is no node, the benchmark does without.
.npm/ready:
	@mkdir -p .npm
	@if command -v npm >/dev/null; then \
		echo "Setting up .npm with durable-functions $(NPM_VERSION)."; \
		npm install --silent --no-audit --no-fund --no-save --prefix .npm \
			durable-functions@$(NPM_VERSION) && touch $@ || echo "It could not be installed and is left out."; \
	else echo "There is no npm here: durable-functions for JavaScript is left out."; fi

clean: ## Remove what the other entries have made
	rm -rf .venv .venv-3.* .venv-openai $(OFFICIAL) .venv-durabletask .venv-dbos .npm site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
