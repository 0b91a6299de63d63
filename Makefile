# Everything a person runs. Needs Python 3.11 or later, Node.js 20 or later, and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
ifeq ($(HOME),)
export HOME := $(CURDIR)/.uv/home
endif
export UV_PYTHON_DOWNLOADS := never
# Containers like to set it; then each of the many processes compiles all that it imports again.
unexport PYTHONDONTWRITEBYTECODE
export NPM_CONFIG_FUND := false
export NPM_CONFIG_AUDIT := false
export NPM_CONFIG_UPDATE_NOTIFIER := false

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python3.14; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
NODE_MAJOR := $(shell node --version 2>/dev/null | sed 's/^v//; s/\..*//')
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
VENV := .venv/bin
FRONTEND := $(wildcard frontend/package.json)
AGENT := frontend/dist/agent/pulseboard-$(shell sed -n 's/^version = "\(.*\)"/\1/p' shared/pyproject.toml)-py3-none-any.whl
CDK := CDK_DISABLE_CLI_TELEMETRY=1 CDK_DISABLE_VERSION_CHECK=1 \
  JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 infra/node_modules/.bin/cdk

OPERATING := openapi-check openapi-release cost deploy rollback destroy diff rotate-secret pipeline-role update-database
.PHONY: $(OPERATING) help up local local-down life invoke test test-tools lint lint-python lint-contract openapi bench year bench-ui structure fuzz fuzz-api soak install clean layers synth prerequisites chromium prometheus collectd postgres-tools frontend screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

prerequisites:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and is not on the PATH."; exit 1; }
	@test "$(or $(NODE_MAJOR),0)" -ge 20 || { echo "Node.js 20 or later is needed, and is not on the PATH (found: $(or $(NODE_MAJOR),none))."; exit 1; }

.uv/bin/uv:
	@echo "· uv into .uv/"
	@"$(PYTHON)" -m venv .uv || { echo "Python's venv module is needed (Debian: apt install python3-venv)."; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv

.venv/.synced: uv.lock pyproject.toml shared/pyproject.toml | prerequisites
	@$(if $(filter .uv/bin/uv,$(UV)),$(MAKE) --no-print-directory .uv/bin/uv)
	@echo "· Python packages"
	@"$(UV)" sync --frozen --quiet $(if $(wildcard $(VENV)/python),,--python "$(PYTHON)")
	@touch $@

infra/local/node_modules/.synced: infra/local/package-lock.json infra/local/package.json | prerequisites
	@echo "· embedded TimescaleDB"
	@npm ci --prefix infra/local --silent
	@touch $@

frontend/node_modules/.synced: $(wildcard frontend/package-lock.json) $(FRONTEND) | prerequisites
	@echo "· frontend packages"
	@npm ci --prefix frontend --silent
	@touch $@

frontend/dist/index.html: frontend/node_modules/.synced $(shell find frontend/src frontend/public frontend/index.html frontend/vite.config.ts frontend/first-load.ts -type f 2>/dev/null)
	@echo "· frontend build"
	@npm run build --prefix frontend --silent
	@touch $@

# The agent's package beside the SPA: hosts install it from the Pulseboard that they send to.
$(AGENT): frontend/dist/index.html $(shell find shared/src -type f -not -name '*.pyc' 2>/dev/null) shared/pyproject.toml | .venv/.synced
	@rm -rf frontend/dist/agent
	@"$(UV)" build --wheel --quiet --out-dir frontend/dist/agent shared
	@rm -f frontend/dist/agent/.gitignore
	@touch $@

frontend: $(if $(FRONTEND),frontend/dist/index.html $(AGENT))

install: .venv/.synced infra/local/node_modules/.synced $(if $(FRONTEND),frontend/node_modules/.synced) ## Install what is needed, into this folder only

up: install frontend ## Start everything and show a live dashboard of this machine
	@exec $(VENV)/python -m infra.local

chromium:
	@if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "· chromium"; apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "Chromium is not installed: tests that need it will say so."; fi; fi

prometheus:
	@if ! { command -v prometheus && command -v prometheus-node-exporter && command -v prometheus-alertmanager; } >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-node-exporter prometheus-alertmanager; } >/dev/null 2>&1; \
	  then echo "· prometheus, prometheus-node-exporter, prometheus-alertmanager"; else echo "Prometheus, its node exporter or its Alertmanager is not installed: tests that need it will say so."; fi; fi

collectd:
	@if { ! command -v collectd && ! test -x /usr/sbin/collectd; } >/dev/null \
	  || ldd /usr/lib/collectd/write_http.so 2>/dev/null | grep -q "not found"; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends collectd-core libcurl3-gnutls libyajl2; } >/dev/null 2>&1; \
	  then echo "· collectd"; else echo "collectd, with what its write_http needs, is not installed: tests that need it will say so."; fi; fi

postgres-tools:
	@if ! command -v pg_createcluster >/dev/null || ! { command -v pgbouncer || test -x /usr/sbin/pgbouncer; } >/dev/null || ! command -v jq >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql pgbouncer jq openssl iproute2; } >/dev/null 2>&1; \
	  then echo "· postgresql, pgbouncer, jq"; else echo "PostgreSQL, pgBouncer or jq is not installed: tests that need it will say so."; fi; fi

lint: install ## Check style, types, imports and generated code
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint-python lint-contract

lint-python:
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports

# In one target, since each step reads what the one before writes.
lint-contract:
	$(VENV)/python -m functions.dev && git diff --exit-code -- shared/openapi.json
	$(VENV)/python -m infra.compatibility
ifneq ($(FRONTEND),)
	npm run lint --prefix frontend
	cd frontend && npx --no-install tsc -b --noEmit
	npm run generate --prefix frontend && git diff --exit-code -- frontend/src/api/generated
endif

test-tools: chromium prometheus collectd postgres-tools ## Install what some tests need and pip and npm lack, with apt as root: Chromium, Prometheus, collectd, PostgreSQL

test: lint frontend layers/build/local/.built infra/node_modules/.synced ## Run every check and test; WORKERS=0 tests one after the other
	$(VENV)/pytest -n $(or $(WORKERS),auto)
	$(if $(FRONTEND),npm test --prefix frontend)

screenshots: install frontend chromium ## Take the pictures in docs/img of the stack that is up
	$(VENV)/python tests/e2e/screenshots.py

openapi: install ## Export the API document and what is generated from it
	$(VENV)/python -m functions.dev
	$(if $(FRONTEND),npm run generate --prefix frontend)

openapi-check: .venv/.synced ## Look for changes that break clients of the released API
	$(VENV)/python -m infra.compatibility

openapi-release: openapi ## Take today's API as what clients may rely on
	$(VENV)/python -m infra.compatibility --release

cost: .venv/.synced ## The monthly bill on AWS: HOSTS=100 INTERVAL=10 DASHBOARDS=5 SERIES=50 SENDERS=2 SIZE=medium
	@$(VENV)/python -m infra.cost --hosts $(or $(HOSTS),100) --interval $(or $(INTERVAL),10) \
	  --dashboards $(or $(DASHBOARDS),5) --series $(or $(SERIES),50) \
	  $(if $(SENDERS),--senders $(SENDERS)) $(if $(SIZE),--size $(SIZE))

infra/node_modules/.synced: infra/package-lock.json infra/package.json | prerequisites
	@echo "· CDK"
	@npm ci --prefix infra --silent
	@touch $@

layers/build/aws/.built: uv.lock layers/build.py $(shell find shared/src -type f -not -name '*.pyc' 2>/dev/null) | .venv/.synced
	@echo "· Lambda layers (python3.13, arm64)"
	@$(VENV)/python -m layers.build --out layers/build/aws --uv "$(UV)"
	@touch $@

layers: install layers/build/aws/.built ## Build the two Lambda layers, without Docker

layers/build/local/.built: uv.lock layers/build.py $(shell find shared/src -type f -not -name '*.pyc' 2>/dev/null) | .venv/.synced
	@echo "· Lambda layers for this machine"
	@$(VENV)/python -m layers.build --local --out layers/build/local --uv "$(UV)"
	@touch $@

layers/build/localstack/.built: uv.lock layers/build.py $(shell find shared/src functions -type f -not -name '*.pyc' 2>/dev/null) | .venv/.synced
	@echo "· code of the Lambda functions (python3.13, this processor)"
	@$(VENV)/python -m layers.build --bundled --python 3.13 --platform $(subst arm64,aarch64,$(shell uname -m))-manylinux_2_28 \
	  --out layers/build/localstack --uv "$(UV)"
	@touch $@

local: install frontend layers/build/$(if $(LOCALSTACK),localstack,local)/.built infra/node_modules/.synced ## Deploy the CDK app into an emulator of AWS here, without Docker
	@$(VENV)/python -m infra.local.detached up

invoke: install ## Run a function's sample event on the local database: FUNCTION=query
	@$(VENV)/python -m infra.local.invoke $(FUNCTION)

local-down: .venv/.synced ## Stop it; the data stays in .local/
	@$(VENV)/python -m infra.local.detached down

life: install frontend layers/build/local/.built infra/node_modules/.synced ## A deployment's life in the emulator, from first deploy to destroy: FROM=commit EXTERNAL=postgresql://… LOG=docs/life.md
	@$(VENV)/python -m infra.local.life $(if $(FROM),--from $(FROM)) $(if $(EXTERNAL),--external $(EXTERNAL)) $(if $(LOG),--log $(LOG))

synth: layers infra/node_modules/.synced ## Write the CloudFormation templates to cdk.out/; checks them with cdk-nag
	@$(CDK) synth --quiet $(CONTEXT)
	@echo "Templates in cdk.out/, cdk-nag found nothing that is not accepted with a reason."

STAGE ?= production
AWS = $(VENV)/python -m infra.deploy
CHOICES = --stage $(STAGE) $(if $(SIZE),--context size=$(SIZE)) $(patsubst -c,,$(foreach choice,$(filter-out -c,$(CONTEXT)),--context $(choice)))

deploy: layers infra/node_modules/.synced frontend ## To AWS: STAGE=production ADMIN=me@example.com CONTEXT="-c alarmEmail=…"
	@$(AWS) deploy $(CHOICES) $(if $(ADMIN),--admin $(ADMIN)) $(if $(MOVE),--move $(MOVE))

rollback: layers infra/node_modules/.synced frontend ## Deploy this older work tree's code; the newer schema stays
	@$(AWS) rollback $(CHOICES)

diff: layers infra/node_modules/.synced ## What a deploy would change on AWS
	@$(AWS) diff $(CHOICES)

destroy: layers infra/node_modules/.synced ## Take it down: STAGE=… CONFIRM=the same; DATA=delete for the data too
	@$(AWS) destroy $(CHOICES) --data $(or $(DATA),keep) $(if $(CONFIRM),--confirm $(CONFIRM))

rotate-secret: .venv/.synced ## Give the database on AWS a new password
	@$(AWS) rotate-secret --stage $(STAGE)

pipeline-role: .venv/.synced infra/node_modules/.synced ## The roles of GitHub Actions, once an account: REPO=owner/name STAGE=staging
	@$(CDK) deploy --app "$(VENV)/python -m infra.pipeline" --output cdk.out/pipeline --context repository=$(REPO) --context stage=$(STAGE) $(CONTEXT)

update-database: .venv/.synced ## Other versions of PostgreSQL or TimescaleDB: PACKAGES="name=version …"
	@$(AWS) update-database --stage $(STAGE) --packages "$(PACKAGES)"

bench: install ## Measure; make bench year: only a simulated year of pods
	$(VENV)/python -m bench $(filter year,$(MAKECMDGOALS))

ifneq ($(filter bench,$(MAKECMDGOALS)),)
year: ; @:
endif

soak: install ## Kill and stop parts under load for MINUTES=10, then count: SEED=… for the same again
	$(VENV)/python -m bench.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

structure: .venv/.synced ## Count imports across folders, circles, lines by folder, and the files of each flow
	@$(VENV)/python -m bench structure

bench-ui: install frontend chromium ## Measure the web app in Chromium
	$(VENV)/python -m bench.ui

.venv-fuzz/.synced: uv.lock pyproject.toml | .venv/.synced
	@echo "· fuzzer"
	@UV_PROJECT_ENVIRONMENT=.venv-fuzz "$(UV)" sync --frozen --quiet --no-default-groups --group fuzz --no-build-package atheris --python "$(PYTHON)" \
	  || { echo "The fuzzer needs the wheel of atheris, which PyPI has for Linux on x86-64 and Python 3.11 to 3.14 only (here: $$("$(PYTHON)" -c 'import platform as p; print(p.system(), p.machine(), p.python_version())')). The property tests (make test) try the same decoders on every machine."; exit 1; }
	@touch $@

FUZZED = remote_write otlp otlp_json influx datadog datadog_sketches datadog_version3 datadog_json collectd json spilled

fuzz: .venv-fuzz/.synced ## Fuzz each decoder for SECONDS=30, guided by coverage
	@for name in $(FUZZED); do echo "· $$name"; \
	  .venv-fuzz/bin/python -m tests.support.fuzz $$name -max_total_time=$(or $(SECONDS),30) -rss_limit_mb=1500 -timeout=10 -verbosity=0 -print_final_stats=1; done

fuzz-api: install ## Send the API what its document allows and forbids, for SECONDS=120 each by session and by key
	FUZZ_API_SECONDS=$(or $(SECONDS),120) $(VENV)/pytest -n 0 -s --timeout 0 tests/integration/test_contract_by_schemathesis.py

clean: ## Remove what was installed and built; keeps the data in .local/
	rm -rf .venv .venv-fuzz .uv cdk.out layers/build infra/node_modules infra/local/node_modules frontend/node_modules frontend/dist
