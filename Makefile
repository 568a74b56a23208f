# `make help` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(NEBARI_MLFLOW_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nebari-mlflow)
UV := $(or $(shell command -v uv),$(CACHE)/uv/bin/uv)
PYTHON ?= python3
VENV := .venv
LINT := .venv-lint
RELEASE := .venv-dist
SITE := .venv-docs

# Your own cluster, if KUBECONFIG names one; otherwise the kind cluster of this checkout.
OWN_KUBECONFIG := $(filter-out $(CURDIR)/.cluster/kubeconfig,$(KUBECONFIG))
export KUBECONFIG := $(or $(OWN_KUBECONFIG),$(CURDIR)/.cluster/kubeconfig)
export PATH := $(CURDIR)/.cluster/bin:$(CURDIR)/$(VENV)/bin:$(PATH)
export NEBARI_MLFLOW_CACHE := $(CACHE)
export PYTHONUTF8 := 1
# Ansible refuses every locale but those of UTF-8, so it gets one whatever this shell has.
UTF_8 := $(if $(filter Darwin,$(shell uname)),en_US.UTF-8,C.UTF-8)
SHELL_IS_UTF_8 := $(filter UTF-8,$(shell locale charmap 2>/dev/null))
export LC_ALL := $(UTF_8)

STEPS := ANSIBLE_CALLBACK_PLUGINS=molecule/cluster/callback_plugins ANSIBLE_STDOUT_CALLBACK=steps
CLUSTER := $(STEPS) ansible-playbook $(if $(OWN_KUBECONFIG),-e kubeconfig=$(OWN_KUBECONFIG))
INTEGRATION := pytest -v --dist loadgroup --no-loadscope-reorder -m 'not alone' tests/integration
DEMO := -e mlflow_provider=local -e mlflow_project_name=demo -e mlflow_namespace=dev -e mlflow_kubeconfig=$(KUBECONFIG)

.PHONY: help up env cluster edge stores extras keycloak down test unit clouds lint format bench campaign dist docs lock

help:  ## Say what there is
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  KUBECONFIG=FILE make up    uses the cluster of that file instead of starting kind"

up: $(VENV)/.done  ## Start a cluster, deploy MLflow on it, log a run, open the UI
	@$(CLUSTER) $(DEMO) molecule/cluster/demo.yml

env:  ## Print what a shell needs to use it: eval "$(make env)"
	@echo 'export KUBECONFIG="$(KUBECONFIG)" PATH="$(CURDIR)/.cluster/bin:$(CURDIR)/$(VENV)/bin:$$PATH"$(if $(SHELL_IS_UTF_8),, LC_ALL=$(UTF_8))'

cluster: $(VENV)/.done  ## Start the cluster only
	@$(CLUSTER) molecule/cluster/up.yml

edge: $(VENV)/.done up  ## Add Traefik to the cluster, and a browser and Prometheus to this machine, for the tests of the UI and of metrics
	@$(CLUSTER) molecule/cluster/edge.yml

stores: $(VENV)/.done up  ## Add the image that simulated clouds keep data in, for the tests that deploy to them
	@$(if $(OWN_KUBECONFIG),,$(STEPS) ansible-playbook molecule/cluster/stores.yml)

extras: $(VENV)/.done up  ## Add a metrics server and the image of an S3 store to the cluster, for the campaigns and benchmarks
	@$(if $(OWN_KUBECONFIG),,$(STEPS) ansible-playbook molecule/cluster/extras.yml)

keycloak: $(VENV)/.done up  ## Add the image of Keycloak, for the campaign's tests of its tokens; Maven brings it
	@$(if $(OWN_KUBECONFIG),,$(STEPS) ansible-playbook molecule/cluster/keycloak.yml)

down: $(VENV)/.done  ## Remove all that `make up` started; what was built stays cached
	@$(CLUSTER) molecule/cluster/down.yml

test: $(VENV)/.done up edge stores  ## Run the tests, on the cluster of `make up`
	@pytest -q -n 3 tests/unit tests/contract
	@# Three groups of tests run beside each other: much of their time they wait for pods. What fails is tried once more
	@# by itself, since on a machine that is busy with other things a wait can run out; both are shown.
	@$(INTEGRATION) -n 3 || $(INTEGRATION) -n 1 --last-failed
	@pytest -v -m alone tests/integration

unit: $(VENV)/.done  ## Run the tests that need no cluster
	@pytest -q -n 3 tests/unit tests/contract

clouds: $(VENV)/.done  ## Run the tests of the clouds' roles against simulated accounts, without a cluster
	@pytest -q -m 'not cluster' tests/integration/clouds tests/integration/security/clouds

campaign: $(VENV)/.done up edge extras keycloak  ## Run the long campaigns: kills, faults, in full
	@# What measures a first `make up` runs by itself.
	@NEBARI_MLFLOW_CAMPAIGN=1 pytest -v tests/campaign/test_make_up_from_registry.py
	@NEBARI_MLFLOW_CAMPAIGN=1 pytest -v -n 2 tests/campaign --ignore tests/campaign/test_make_up_from_registry.py tests/integration/test_molecule.py \
	  tests/integration/clouds/test_faults.py tests/integration/clouds/test_every_cloud.py tests/integration/clouds/test_printed.py \
	  tests/integration/test_adopt.py tests/integration/backup tests/integration/rotate tests/integration/test_pages.py \
	  tests/integration/security/test_data.py tests/integration/nebari/test_compatibility.py \
	  tests/integration/identity

lint: $(VENV)/.done $(LINT)/.done  ## Check style and types
	@$(LINT)/bin/ruff check .
	@$(LINT)/bin/ruff format --check .
	@$(LINT)/bin/mypy
	@$(LINT)/bin/yamllint -s .
	@PATH=$(CURDIR)/$(LINT)/bin:$$PATH ANSIBLE_HOME=$(CURDIR)/$(LINT)/ansible ANSIBLE_COLLECTIONS_PATH=collections:$(wildcard $(VENV)/lib/python3*/site-packages) $(LINT)/bin/ansible-lint

format: $(LINT)/.done  ## Format the Python code
	@$(LINT)/bin/ruff check --fix-only . && $(LINT)/bin/ruff format .

bench: $(VENV)/.done up  ## Measure, each against its baseline in the same run
	@for bench in benchmarks/bench_*.py; do python -m $$(echo $${bench%.py} | tr / .); done

dist: $(RELEASE)/.done  ## Build wheel, sdist, collection, chart and bill of materials into dist/, and check them
	@PATH=$(CURDIR)/$(RELEASE)/bin:$$PATH python -m release.build
	@$(RELEASE)/bin/twine check --strict dist/*.whl dist/nebari_mlflow-*.tar.gz
	@helm lint --strict dist/mlflow-*.tgz
	@cd $$(mktemp -d) && PATH=$(CURDIR)/$(RELEASE)/bin:$$PATH python -m galaxy_importer.main $(CURDIR)/dist/nebari-mlflow-*.tar.gz

docs: $(SITE)/.done  ## Build the documentation's site into build/site, and check its links
	@rm -rf docs/reference/collection build/site && mkdir -p -m 755 docs/reference/collection
	@ANSIBLE_HOME=$(CURDIR)/build/ansible ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/collections PATH=$(CURDIR)/$(SITE)/bin:$$PATH \
	  antsibull-docs collection --use-current --fail-on-error --squash-hierarchy --dest-dir docs/reference/collection nebari.mlflow
	@$(SITE)/bin/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/site
	@echo "Open build/site/index.html"

lock: $(UV)  ## Resolve and lock the requirements again
	@$(UV) pip compile -q --universal --generate-hashes --no-header requirements/uv.in -o requirements/uv.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --group build -o requirements/build.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header pyproject.toml --group test -o requirements/test.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --group lint -o requirements/lint.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dist -o requirements/dist.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group docs -o requirements/docs.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml requirements/oldest.in -o requirements/oldest.txt
	@cd tests/integration/identity && $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	@cd tests/integration/identity && $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header provider-requirements.in -o provider-requirements.txt

$(CACHE)/uv/bin/uv: requirements/uv.txt
	@echo "Installing uv"
	@$(PYTHON) -m venv $(CACHE)/uv
	@$(CACHE)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.done: $(UV) requirements/test.txt requirements/build.txt pyproject.toml
	@echo "Installing the Python environment into $(VENV) (about half a minute the first time)"
	@$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(VENV)
	@$(UV) pip sync --quiet --python $(VENV)/bin/python requirements/test.txt
	@$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --build-constraints requirements/build.txt --editable .
	@touch $@

$(LINT)/.done: $(UV) requirements/lint.txt
	@echo "Installing the linters into $(LINT)"
	@$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(LINT)
	@$(UV) pip sync --quiet --python $(LINT)/bin/python requirements/lint.txt
	@touch $@

$(RELEASE)/.done: $(UV) requirements/dist.txt
	@echo "Installing what builds a release into $(RELEASE)"
	@$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(RELEASE)
	@$(UV) pip sync --quiet --python $(RELEASE)/bin/python requirements/dist.txt
	@touch $@

$(SITE)/.done: $(UV) requirements/docs.txt
	@echo "Installing what builds the documentation into $(SITE)"
	@$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(SITE)
	@$(UV) pip sync --quiet --python $(SITE)/bin/python requirements/docs.txt
	@touch $@
