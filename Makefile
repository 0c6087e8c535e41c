# make demo      the whole system on this machine, in the browser
# make test      all tests               make check     linters, types, contracts, migrations
# make bench     benchmarks              make install   everything incl. torch, for working on SpotOn
# README.md says what the variables do.

PORT ?= 8000
DATA ?= var/
SCENE ?=
DETECTOR ?=
EMBEDDER ?=
ARGS ?=

CANDIDATES := python3.11 python3.12 python3.13 python3
IS_RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for python in $(CANDIDATES); do $$python $(IS_RECENT) && echo $$python && break; done)

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PACKAGES := spoton rest accounts environments tracking analytics gpuworker
# of what runs on the data folder; tests have folders of their own
demo bench: export SPOTON_DATA := $(DATA)
ifneq ($(DETECTOR),)
demo bench: export SPOTON_DETECTOR := $(DETECTOR)
endif
ifneq ($(EMBEDDER),)
demo bench: export SPOTON_EMBEDDER := $(EMBEDDER)
endif

.PHONY: demo test check bench install constraints debian-packages secrets

demo: $(VENV)/.base secrets
	@exec $(PY) manage.py run_demo --port "$(PORT)" $(if $(SCENE),--scene "$(SCENE)")

test: $(VENV)/.all debian-packages
	@$(PY) -m pytest -n 2 $(ARGS)

check: $(VENV)/.all
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	SPOTON_TEST_DATA=.mypy_cache $(PY) -m mypy $(PACKAGES) tests
	$(VENV)/bin/lint-imports --no-cache --no-logo
	.ci/django-checks $(PY)
	.ci/lint-files $(VENV)/bin

bench: $(VENV)/.all
	@$(PY) -m tests.benchmarks.demo $(ARGS)

install: $(VENV)/.all secrets

secrets: $(VENV)/.base
	@$(PY) -m spoton.secrets_file "$(DATA)"

debian-packages:
	@.ci/debian-packages

# writes constraints.txt anew: `make constraints UPGRADE=1` takes the newest versions of everything
constraints: $(VENV)/.base
	@.ci/pin $(PY) $(if $(UPGRADE),,--constraint constraints.txt)

$(PY):
	@if ! "$(PYTHON)" $(IS_RECENT); then \
	  echo "SpotOn needs Python 3.11 or newer, and '$(or $(PYTHON),python3)' is not: install it, or name it: make demo PYTHON=/path/to/python3.11"; \
	  exit 1; fi
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No virtual environment could be made: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

# the stamps keep a second start from asking pip again
$(VENV)/.base: pyproject.toml constraints.txt | $(PY)
	$(call install,.)
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(PY)
	$(call install,.[models$(,)dev])
	@touch $(VENV)/.base $@

, := ,

# trackeval and ultralytics bring OpenCV's desktop build along, which needs libGL and lies in the same folder as the
# headless one: take it out again
define install
@echo "Installing $(1) into $(VENV), a minute or (with torch) a few ..."
@{ $(PIP_INSTALL) --editable "$(1)" \
  && $(PY) -m pip uninstall --quiet --yes opencv-python \
  && $(PIP_INSTALL) --no-deps --force-reinstall opencv-python-headless; } >$(VENV)/install.log 2>&1 \
  || { tail -n 15 $(VENV)/install.log; \
       echo "Installing failed, see above and $(VENV)/install.log: mend it (network? disk?) and run the same command again."; \
       exit 1; }
endef
