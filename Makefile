# Needs Python 3.11 or newer, make, and a package registry that pip and npm are configured for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .cache/uv/bin/uv
PY_SPY := .cache/py-spy/bin/py-spy
# The flow that is profiled.
FLOW ?= bet
COMPILE := $(UV) pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header
# How long a soak goes on.
MINUTES ?= 30
# What to run of the tests, for example: make test TESTS="tests/domain -x"
TESTS ?=
# Most of a test's time is waiting for a real system: three at a time, in the order of tests/conftest.py.
WORKERS ?= -n 3 --dist loadfile --no-loadscope-reorder

# Tests start Python a thousand times; without bytecode each start would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint format dashboards edge pictures bench soak profile kafka e2e setup lock clean

help: ## this list
	@grep -E '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

run: setup ## everything on this machine, from nothing to a first deposit
	@exec $(BIN)/betting dev

test: lint ## lint, then all tests on a real restate-server
	$(BIN)/python -m pytest $(TESTS) -m 'not e2e' $(WORKERS)

lint: setup ## style, types and the layers between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

e2e: setup ## the story of a release on a cluster: KUBECONFIG, and images BETTING_E2E_IMAGE_V1, _V2, _BAD and _BROKEN loaded there
	# What the pages say is in namespaces of its own. It goes on beside the first part of the story, and ends long before.
	$(BIN)/python -m pytest tests/e2e/test_pages_*.py & pages=$$!; \
	$(BIN)/python -m pytest tests/e2e/test_story_*.py; story=$$?; wait $$pages && exit $$story

kafka: setup ## the tests that need a real Kafka: Java 17 or newer, and Maven to fetch it
	BETTING_TEST_KAFKA=1 $(BIN)/python -m pytest tests/kafka $(TESTS)

format: setup ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dashboards: setup ## the JSON of Grafana's dashboards, from their code
	$(BIN)/python -m k8s.observability.dashboards

edge: setup ## the door's configuration and the description of the API, from what the handlers declare
	$(BIN)/betting edge --chart > charts/betting/files/edge.yaml
	$(BIN)/betting edge --chart-tls > charts/betting/files/edge-tls.yaml
	$(BIN)/betting edge --for envoy-gateway --restate betting-restate:8080 \
		--issuer https://id.example --jwks-uri https://id.example/keys > k8s/envoy-gateway/betting.yaml
	$(BIN)/betting openapi > charts/betting/files/openapi.json

pictures: setup ## of the dashboards, from a real system that is watched for a minute
	$(BIN)/python -m tests.observability.pictures

bench: setup ## measure beside a no-op invocation
	$(BIN)/python -m tests.bench

soak: setup ## seasons for a while, and whether anything grew: make soak MINUTES=30
	@exec $(BIN)/python -m tests.soak --minutes $(MINUTES)

profile: setup $(PY_SPY) ## where the service's time goes: make profile FLOW=bet, deposit, withdrawal or getAccount
	PATH="$(CURDIR)/$(dir $(PY_SPY)):$$PATH" $(BIN)/python -m tests.bench.profile $(FLOW)

setup: .cache/binaries ## install what the rest needs

$(VENV)/ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "betting needs Python 3.11 or newer; choose one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian: python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.cache/binaries: app/dev/npm/package-lock.json $(VENV)/ready
	$(BIN)/python -m app.dev.binaries
	@mkdir -p $(@D) && touch $@

lock: $(UV) ## choose the newest versions again and pin them by hash
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

$(UV):
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(PY_SPY):
	$(PYTHON) -m venv .cache/py-spy
	.cache/py-spy/bin/python -m pip install --quiet --disable-pip-version-check py-spy==0.4.3

clean: ## forget what was installed, fetched and kept
	rm -rf $(VENV) .cache .betting .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
