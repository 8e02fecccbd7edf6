# Everything is done with the tools in .venv, which the first target that needs it makes.

# PostgreSQL to build and test against: 14 to 18, or 15-assert, one that checks its own assertions.
# It is fetched, or built, if it is not there.
PG ?= 18
# Path of a pg_config, to use that server instead.
PG_CONFIG ?=
# Passed on to pytest: make test TESTS='tests/waiting -x'
TESTS ?=
# Test processes at once, each with servers of its own. Tests mostly wait, so there may be more than processors;
# with 1 they run in pytest's own process, as --pdb and -s need it.
JOBS ?= 4
# What looks at the servers' memory meanwhile: sanitizers, valgrind or caches (docs/internals/debugging.md).
CHECK ?=
# 1: the extension is in a schema of its own, among look-alikes of what it uses.
SCHEMA ?=
# How servers get the extension: meson builds it; pgxs does as for a source release; wheel, deb, rpm, image (from 18
# on) and server-image (Debian's own PostgreSQL) build that package and take its files.
BUILD ?= meson
PYTHON ?= python3

BIN := .venv/bin

# Neighbours stay together, so that few processes make the servers that several files share.
PARALLEL = $(if $(filter-out 1,$(JOBS)),--numprocesses $(JOBS) --dist worksteal)

.DEFAULT_GOAL := help
.PHONY: help build demo docs pictures test test-reliability soak coverage bench bench-quick bench-install instructions lint wheels sdist source sbom deb rpm images clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(BIN)/.with-server ## Set up .venv and build the extension (PG=18, or PG_CONFIG=/path/to/pg_config)
	@$(BIN)/python -m tools.build $(PG) --pg-config '$(PG_CONFIG)' --by '$(BUILD)'

demo: build ## Start a server and walk through what the extension is for
	@$(BIN)/python -m examples.demo

test: $(BIN)/.with-dev build ## Run all tests on one server (PG=18, or PG_CONFIG=/path/to/pg_config; JOBS=4 at once)
	@PG='$(PG)' PG_CONFIG='$(PG_CONFIG)' SCHEMA='$(SCHEMA)' CHECK='$(CHECK)' BUILD='$(BUILD)' $(BIN)/python -m pytest $(PARALLEL) $(TESTS)

# How much of it: full, or short, which takes a few minutes. RELIABILITY_SEED=n does at random what a run has done
# that printed this seed.
RELIABILITY ?= full
RELIABILITY_TESTS = $(or $(TESTS),tests/reliability)

test-reliability: $(BIN)/.with-dev build ## Load, faults and pairs of calls at random (RELIABILITY=full, or short)
	@PG='$(PG)' PG_CONFIG='$(PG_CONFIG)' RELIABILITY='$(RELIABILITY)' CHECK='$(CHECK)' $(BIN)/python -m pytest $(PARALLEL) $(RELIABILITY_TESTS)

# Fractions are allowed.
HOURS ?= 1

soak: $(BIN)/.with-dev build ## Load and faults for HOURS=1, with a report in build/soak
	@PG='$(PG)' PG_CONFIG='$(PG_CONFIG)' RELIABILITY_HOURS='$(HOURS)' $(BIN)/python -m pytest tests/reliability/test_hours.py

# Not through a plugin of pytest: that would begin after the package's own plugin is loaded.
coverage: $(BIN)/.with-dev build ## Run the tests as `make test` does, and say which lines of Python none has run
	@mkdir -p build/coverage
	@$(BIN)/coverage erase
	@status=0; \
	PG='$(PG)' PG_CONFIG='$(PG_CONFIG)' SCHEMA='$(SCHEMA)' $(BIN)/coverage run -m pytest $(PARALLEL) $(TESTS) || status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage html --quiet && $(BIN)/coverage report && exit $$status

# How much is measured: 1 takes about a quarter of an hour, 0.01 shows in a minute that it works.
SCALE ?= 1
# libpq's connection string of a database with the C extension, to be measured beside.
C_DSN ?=
# Some of its sections: make bench ONLY='calls shapes'
ONLY ?=

bench: $(BIN)/.with-dev build ## Measure everything against what it is to be compared with; report in build/bench (SCALE=1)
	@C_DSN='$(C_DSN)' $(BIN)/python -m benchmarks.bench --scale '$(SCALE)' --only '$(ONLY)' $(if $(PG_CONFIG),--pg-config '$(PG_CONFIG)',--pg $(PG))

bench-quick: $(BIN)/.with-dev build ## Measure launch, result and wait, in about a minute (PG=18)
	@$(BIN)/python -m benchmarks.quick $(if $(PG_CONFIG),--pg-config '$(PG_CONFIG)',--pg $(PG))

bench-install: $(BIN)/.with-server ## Install in each way, from an empty Debian to a job's rows, as root (ONLY=wheel)
	@$(BIN)/python -m benchmarks.installing --only '$(ONLY)'

# 1: what is counted becomes the baseline of such a machine.
STORE ?=

instructions: $(BIN)/.with-server build ## Count the instructions of a call against the stored baseline (STORE=1 stores it)
	@$(BIN)/python -m benchmarks.instructions $(if $(filter 1,$(STORE)),--store) $(if $(PG_CONFIG),--pg-config '$(PG_CONFIG)',--pg $(PG))

# Each release has a folder, and versions.js beside them lists those that are there.
docs: $(BIN)/.with-docs ## Make the documentation site in build/docs
	@$(BIN)/python -m tools.docs

pictures: $(BIN)/.with-dev build ## Make the pictures of the documentation anew, in docs/images
	@PG_BACKGROUND_PICTURES=docs/images $(BIN)/python -m pytest tests/pictures

lint: $(BIN)/.with-dev ## Run the linters, the type checkers and the spelling check
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/python -m tools.async_to_sync --check
	@$(BIN)/python -m tools.update_scripts --check
	@$(BIN)/python -m tools.man_page --check
	@$(BIN)/python -m tools.monitoring --check
	@$(BIN)/mypy
	@$(BIN)/basedpyright --level error
	@# It looks for pycodestyle in PATH.
	@PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint extension/src
	@$(BIN)/python -m tools.check_layers
	@$(BIN)/python -m tools.check_contract
	@$(BIN)/python -m tools.mutate --check
	@$(BIN)/python -m tools.actionlint
	@$(BIN)/zizmor --offline --quiet --pedantic --strict-collection --config .github/zizmor.yml .github
	@$(BIN)/codespell

# For which major versions of PostgreSQL the wheel has compiled libraries.
WHEEL_PG ?= 14 15 16 17 18

wheels: $(BIN)/.with-server ## Build the wheels: one with compiled libraries (WHEEL_PG='14 15 16 17 18'), one without
	@$(BIN)/python -m tools.wheels $(WHEEL_PG)

source: $(BIN)/.with-server ## Make the source release, which PGXS builds without Python, in dist/source
	@$(BIN)/python -m tools.source_release

sdist: $(BIN)/.with-release ## Make the archive of sources for pip, in dist
	@$(BIN)/python -m build --sdist

sbom: $(BIN)/.with-release ## List what comes with the package, of the wheels in dist, in dist/sbom
	@$(BIN)/python -m tools.sbom

# For other versions than Debian's own, as root: DEB_PG='14 15 16 17 18'
DEB_PG ?=

deb: $(BIN)/.with-server ## Build Debian packages for the PostgreSQL that Debian has here (or DEB_PG='14 15 16 17 18'), in dist/deb
	@$(BIN)/python -m tools.deb $(DEB_PG)

rpm: $(BIN)/.with-server ## Build an rpm for one PostgreSQL (PG=18, or PG_CONFIG=/path/to/pg_config), in dist/rpm
	@$(BIN)/python -m tools.rpm $(PG) --pg-config '$(PG_CONFIG)'

images: $(BIN)/.with-server ## Build the image of the extension as a volume for servers (PG=18), and that of a server, in dist/images
	@$(BIN)/python -m tools.images $(PG)
	@$(BIN)/python -m tools.server_image

clean: ## Delete what was built, and .venv
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A server, what builds the extension for it, and the web page of the demo; what tests and linters need is ten times as much, and comes when
# they are asked for. Not quietly: it takes a while, in which pip says what it does.
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on

$(BIN)/.with-server: pyproject.toml
	@$(PYTHON) src/pg_background/server/toolchain.py
	@echo "Setting up .venv with a PostgreSQL …"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --editable '.[server,build,web]'
	@touch $@

$(BIN)/.with-dev: $(BIN)/.with-server
	@echo "Installing what tests and linters need …"
	@$(INSTALL) --editable '.[dev]'
	@touch $@

$(BIN)/.with-docs: $(BIN)/.with-server
	@echo "Installing what makes the documentation …"
	@$(INSTALL) --editable '.[docs]'
	@touch $@

$(BIN)/.with-release: $(BIN)/.with-server
	@echo "Installing what makes a release …"
	@$(INSTALL) --editable '.[release]'
	@touch $@
