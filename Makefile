# Everything that a fresh machine needs is made here: Python 3.11 or newer, and Go for the real
# control plane of the cluster tests and of demo-cluster.
PYTHON ?= python3
VENV := .venv
# Images for containers often set it. Tests start hundreds of processes, each of which would compile us
# anew, and each process of pytest every test.
unexport PYTHONDONTWRITEBYTECODE
# Hypothesis would load trio in each process of pytest, which takes a fifth of a second; no test runs on it.
export HYPOTHESIS_NO_PLUGINS := 1
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.ready-demo
# What has all of it needs no part of it.
ifneq ($(wildcard $(READY)),)
  DEMO_READY := $(READY)
endif

.PHONY: help demo demo-cluster test test-unit test-pythons lint format bench crds docs docs-site house house-lower clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# What the demo needs is installed in less than half of the time of what tests, lint and docs need. The
# two are not installed at once: it is the same environment.
$(DEMO_READY): EXTRA := lab
$(READY): EXTRA := dev
$(READY): | $(if $(filter demo%,$(MAKECMDGOALS)),$(filter-out $(READY),$(DEMO_READY)))
$(sort $(DEMO_READY) $(READY)): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("postroom needs Python 3.11 or newer; say which with PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "Set-up (once), step 1 of 2: make a virtual environment in $(VENV). It takes some seconds."
	@$(PYTHON) -m venv $(VENV)
	@echo "Set-up (once), step 2 of 2: download and install what postroom needs. It takes one to five minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA)]'
	@touch $@

demo: $(DEMO_READY) ## the story without a cluster: verify, break, apply the fix; a mail becomes a ticket
	@$(BIN)/postroom demo

demo-cluster: $(DEMO_READY) ## the same story with the operator on a real control plane
	@$(BIN)/postroom demo --cluster

# What computes is spread over the processors, one process for each. Tests at real servers wait for more
# than half of their time, so that three times as many processes keep the processors at work. Each has a
# control plane, of 1 to 1.5 GiB: as many as free memory has room for, and 16 are enough. One process
# runs a file, which may share servers and operators, and has a control plane for all its files; the
# longest come first. What asks how long something takes runs alone (tests/conftest.py says which).
PURE := tests/unit tests/closed_loop tests/differential
REAL := tests/cluster tests/lab
PROCESSORS := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
REAL_PROCESSES ?= $(shell awk -v n=$(PROCESSORS) '/^MemAvailable/ { room = int($$2 / 1572864) } \
	END { n = n * 3 < 16 ? n * 3 : 16; n = n < room ? n : room; print (n > 0 ? n : 1) }' \
	/proc/meminfo 2>/dev/null || echo $(PROCESSORS))

test: $(READY) ## all tests: unit, lab (real servers on loopback), cluster (real kube-apiserver)
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(PURE)
	$(BIN)/python -m pytest --numprocesses=$(REAL_PROCESSES) --dist=loadfile --no-loadscope-reorder -m "not clock" $(REAL)
	$(BIN)/python -m pytest -m clock $(REAL)

test-unit: $(READY) ## the fast ones of tests/unit, each property on ten examples
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --hypothesis-profile=quick tests/unit

# aioimaplib and cancellation differ from one Python to the next. A newer Python is found by name, or
# where pyenv keeps it.
OTHERS ?= 3.12 3.13
SESSIONS := tests/lab/test_mail_imap_auth.py tests/lab/test_mail_imap_session.py \
	tests/lab/test_mail_imap_cancelling.py \
	tests/lab/test_mail_imap_hazards.py tests/lab/test_mail_imap_starttls.py \
	tests/lab/test_mail_smtp_auth.py tests/lab/test_mail_smtp_session.py \
	tests/unit/mail/round_trip/test_compose.py

test-pythons: $(OTHERS:%=test-python-%) ## the tests of mail sessions on newer Pythons, as far as they are installed

# One for each version, so that --jobs installs them side by side.
test-python-%:
	@python=$$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$*.*/bin/python 2>/dev/null | tail -1); \
	python=$${python:-python$*}; \
	if ! $$python -c '' 2>/dev/null; then echo "Python $* is not installed: left out."; exit 0; fi; \
	echo "Python $*: make $(VENV)-$* and install into it. It takes one to five minutes."; \
	$$python -m venv $(VENV)-$* && \
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' && \
	$(VENV)-$*/bin/python -m pytest -q $(SESSIONS)

lint: $(READY) ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The peer of the DNS benchmark has an environment of its own: dnspython loads an HTTP stack where it
# finds one, which would count as memory and start-up time of the operator. Without it there is no peer.
$(VENV)-bench/.ready: pyproject.toml
	@echo "Download and install the peer of the DNS benchmark. It takes one to five minutes."
	-@$(PYTHON) -m venv $(VENV)-bench && \
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]' && \
	touch $@

bench: $(READY) $(VENV)-bench/.ready ## speed, queries and memory, against a floor of the same run
	@status=0; \
	python=$(VENV)-bench/bin/python; test -e $(VENV)-bench/.ready || python=$(BIN)/python; \
	$$python tests/bench/dns_bench.py || status=1; \
	$(BIN)/python tests/bench/dns_losses.py || status=1; \
	$(BIN)/python tests/bench/mail_bench.py || status=1; \
	$(BIN)/python tests/bench/inbound_bench.py || status=1; \
	$(BIN)/python tests/bench/fairness.py || status=1; \
	$(BIN)/python tests/bench/relations.py || status=1; \
	$(BIN)/python tests/bench/at_rest.py || status=1; \
	$(BIN)/python tests/bench/metrics_bench.py || status=1; \
	$(BIN)/python tests/bench/bench.py || status=1; \
	$(BIN)/python tests/bench/scale.py || status=1; \
	exit $$status

.PHONY: soak

soak: $(READY) ## 5,000 messages through faults of every kind, none of them lost; SEED=, MESSAGES= for others
	$(BIN)/python tests/soak/soak.py

.PHONY: fuzz
TIMES ?= 50

fuzz: $(READY) ## mail servers and token endpoints that do anything, mail handed over from them; TIMES= as many as in CI
	POSTROOM_FUZZ=$(TIMES) $(BIN)/python -m pytest --numprocesses=auto \
		tests/lab/test_mail_sessions_fuzzed.py tests/lab/test_https_fuzzed.py \
		tests/lab/test_courier_fuzzed.py

.PHONY: properties
EXAMPLES ?= 3

properties: $(READY) ## every property on examples that no run has tried; EXAMPLES= as many as in CI
	POSTROOM_FUZZ=$(EXAMPLES) $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal \
		-m "hypothesis and not clock" tests/unit tests/closed_loop tests/differential tests/lab

.PHONY: image-test
BASE_ROOTFS ?=

image-test: ## build the image with buildah and run it (as root; docs/image.md)
	BASE_ROOTFS=$(BASE_ROOTFS) image/test.sh

.PHONY: status-bytes
OUT ?= statuses.tsv
THOROUGH ?=

status-bytes: $(READY) ## write every status of a fixed set of worlds to OUT, to compare two versions
	PYTHONPATH=operator:tests $(BIN)/python -m statuses $(if $(THOROUGH),--thorough) $(OUT)

.PHONY: states

states: $(READY) ## capture an object of each kind in each state of the state map, for consumers to be tried on
	POSTROOM_CAPTURE=1 $(BIN)/python -m pytest tests/cluster/test_state_map.py tests/lab/test_sample_statuses.py

.PHONY: mutants
MUTATED ?=

mutants: $(READY) ## change the core thing by thing: what do the tests not notice?
	@echo "Download and install what makes the changes. It takes up to a minute."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	$(BIN)/python tests/mutants/run.py $(MUTATED)

crds: $(READY) ## write crds/ and schemas/ from the models, and what manifests/ and charts/ have of them
	$(BIN)/postroom crds --output-dir crds
	$(BIN)/postroom schemas schemas
	$(BIN)/python manifests/generate.py
	$(BIN)/python charts/generate.py

docs: $(READY) ## write what is generated: pages and pictures of docs/, the enum of DNS findings
	$(BIN)/python docs/codes.py
	$(BIN)/python docs/generate.py
	PYTHONPATH=tests $(BIN)/python -m house.picture

docs-site: $(READY) ## build docs/ as a site in site/; VERSION=1.2 ALIAS=latest name it, SITE_URL where it will stand
	@$(BIN)/python docs/build_site.py $(if $(VERSION),--version "$(VERSION)" --alias "$(ALIAS)") \
		$(if $(SITE_URL),--url "$(SITE_URL)")

.PHONY: screenshots

screenshots: $(READY) ## take the pictures of docs/pictures anew, in Debian's chromium
	PYTHONPATH=operator:tests $(BIN)/python docs/screenshots.py

house: $(READY) ## the house measured: rooms, floors, sizes, names; PLACES="unread fields" says where
	@PYTHONPATH=tests $(BIN)/python -m house $(PLACES)

house-lower: $(READY) ## lower the bars of the house to what is measured now
	@PYTHONPATH=tests $(BIN)/python -m house --lower

clean: ## remove what the targets above made here
	rm -rf $(VENV) $(VENV)-3.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
