# make book · make test · make lab · make data. The first of them makes the virtual environment.
# The same in plain commands: README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help book test photos-check lab data clean

help:
	@echo "make book              build the site into _build/html"
	@echo "make test              run every test"
	@echo "make lab               open the notebooks in JupyterLab"
	@echo "make data              bring the photographs (FROM=folder or address: take them from there)"
	@echo "make clean             remove what was built"

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This needs Python 3.11 or newer; $(PYTHON) is older. Say which: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(INSTALLED)
	$(BIN)/jupyter-book build . --all --quiet -n -W --keep-going
	@echo "The book is built. Open _build/html/index.html"

# Two threads: more of them wait for each other on a busy machine.
test photos-check: export OMP_NUM_THREADS ?= 2

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest
	EDITION=rendered $(BIN)/pytest --nbval-lax --nbval-cell-timeout=600 -p no:cacheprovider notebooks

# Chapters 4 and 5 on the real photographs, in short: that they run, not what they score.
photos-check: $(INSTALLED)
	@mkdir -p _build/photographs
	for name in 04_ants_bees_finetuning 05_frozen_backbone; do \
	  EDITION=photos $(BIN)/papermill notebooks/$$name.ipynb _build/photographs/$$name.ipynb \
	    --cwd notebooks --no-progress-bar -p num_epochs 2 || exit 1; \
	done

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks

data: $(INSTALLED)
	$(BIN)/python -m helpers.assets bring $(if $(FROM),--from "$(FROM)")

clean:
	rm -rf _build .pytest_cache .ruff_cache
