# epochd: `make` lists what there is. Needs Python 3.11 or newer (PYTHON=… chooses one) and a package registry that pip reaches.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
DATA ?= $(or $(EPOCHD_DATA),var)
ARGS ?=
JOBS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
CLIENT_INSTALLED := .venv-client/.installed
BENCH := .venv-bench/bin/python
BENCH_INSTALLED := .venv-bench/.installed

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

.PHONY: demo
demo: $(INSTALLED)  ## Train the chapter's examples through a service of its own and show what comes out, in DATA/demo
	EPOCHD_DATA='$(DATA)' $(BIN)/epochd demo $(ARGS)

.PHONY: claims
claims: $(INSTALLED)  ## Check what the chapter says through a service of its own; the report is DATA/claims/claims.html
	$(BIN)/epochd claims --data '$(DATA)' --out '$(DATA)/claims' $(ARGS)

.PHONY: up
up: $(INSTALLED)  ## Serve at 127.0.0.1:8000 until Ctrl-C; DATA=… is its data folder, ARGS=… goes to `epochd up`
	-@$(BIN)/python -m mlcore.data.fashion_mnist --root '$(DATA)'
	@exec $(BIN)/epochd up --data '$(DATA)' $(ARGS)

.PHONY: data
data: $(INSTALLED)  ## Fetch Fashion-MNIST into the data folder, or verify what is there
	$(BIN)/python -m mlcore.data.fashion_mnist --root '$(DATA)'

.PHONY: install
install: $(INSTALLED)  ## Make .venv with everything; does nothing when it is up to date

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "epochd needs Python 3.11 or newer; $(PYTHON) is not there (PYTHON=… chooses another)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "epochd needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + " (PYTHON=… chooses another)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv; the first time takes a while"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,dev]'
	@touch $@

.PHONY: test
test: $(INSTALLED) $(CLIENT_INSTALLED)  ## Run the tests, JOBS=… modules at a time; ARGS=… goes to pytest
	$(BIN)/pytest -q -n $(JOBS) --dist loadscope $(ARGS)

.PHONY: soak
soak: $(INSTALLED)  ## Run the long tests: kills again and again, 10,000 made-up requests; ARGS=… goes to pytest
	$(BIN)/pytest -q -m soak --timeout=7200 $(ARGS)

.PHONY: chaos
chaos: $(INSTALLED)  ## Kill a service's processes at random while it trains, and count what was lost; ARGS='--stack servers'
	$(BIN)/python -m tests.chaos $(ARGS)

# The generator of clients needs other versions of what epochd stands on.
$(CLIENT_INSTALLED): Makefile
	@$(PYTHON) -m venv .venv-client
	@.venv-client/bin/python -m pip install --quiet --disable-pip-version-check \
		openapi-python-client==0.29.1 python-dateutil==2.9.0.post0
	@touch $@

.PHONY: lint
lint: $(INSTALLED)  ## Check style, format, types and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(INSTALLED)  ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(BENCH_INSTALLED)  ## Measure against the book's code, Ray Tune, scikit-learn and MLflow; ARGS='--quick mlp' for less
	$(BENCH) -m mlcore.data.fashion_mnist --root '$(DATA)'
	$(BENCH) -m benchmarks $(ARGS)

.PHONY: bench-gpu
bench-gpu: $(BENCH_INSTALLED)  ## Measure on a machine with a card that torch can use; ARGS=--quick tries the script without one
	$(BENCH) -m mlcore.data.fashion_mnist --root '$(DATA)'
	$(BENCH) -m benchmarks gpu $(ARGS)

$(BENCH_INSTALLED): pyproject.toml constraints.txt $(wildcard benchmarks/*.txt)
	@test -x $(BENCH) || $(PYTHON) -m venv .venv-bench
	@$(BENCH) -m pip install --quiet --disable-pip-version-check -c constraints.txt -c benchmarks/constraints.txt \
		-e '.[server]' -r benchmarks/requirements.txt
	@$(BENCH) -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/requirements-without-dependencies.txt
	@touch $@

.PHONY: audit
audit:  ## Ask PyPI's advisory database about every version in constraints.txt
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'; }
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

.PHONY: constraints
constraints: $(INSTALLED)  ## Write the versions that are installed to constraints.txt, without local build suffixes
	$(BIN)/python -m pip freeze --all --exclude pip --exclude epochd | sed -E 's/\+[^ ]*$$//' > constraints.new
	mv constraints.new constraints.txt
	@touch $(INSTALLED)

.PHONY: clean
clean:  ## Remove .venv, caches and build products; the data folder stays
	rm -rf .venv .venv-audit .venv-bench .venv-client .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
