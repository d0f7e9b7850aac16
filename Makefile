# make book · make test · make lab · make data. The first of them makes the virtual environment.
# The same in plain commands: README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALLED := $(VENV)/installed
INSTALLED_DEV := $(VENV)/installed-dev

.DEFAULT_GOAL := help
.PHONY: help install book site pdf slides live student check stick test test-slow test-provenance \
  pictures-check bench lab data serve-data links lock clean

help:
	@echo "make book              build the site into _build/html"
	@echo "make book EDITION=photos   the same, from notebooks run on the photographs"
	@echo "make book TORCH=cpu    the same, installing PyTorch without CUDA: 4 GB less on Linux"
	@echo "make install           only make the environment, which the others do where it is missing"
	@echo "make test              run the tests and every notebook; installs what only they need"
	@echo "make test-slow         kill, damage and repeat what must survive it (long)"
	@echo "make test-provenance   test what made the embedded pictures and networks (long)"
	@echo "make bench             time the book beside other ways (hours)"
	@echo "make site              the site with its archives, slides and PDF, in _build/site"
	@echo "make pdf               the book as one PDF (needs Chromium or Google Chrome)"
	@echo "make slides            a deck of slides a chapter, for reveal.js"
	@echo "make live CHAPTER=02   slides of a chapter whose cells run, in JupyterLab"
	@echo "make student           copies without solutions and outputs, and the key"
	@echo "make check STUDENT=folder  run what was handed in; write which exercises pass"
	@echo "make stick PLATFORM=linux  all that a room without internet needs, in _build/stick"
	@echo "                       (or linux-cpu, macos, windows; PYTHON_THERE=3.13; FROM=archives)"
	@echo "make lab               open the notebooks in JupyterLab"
	@echo "make data              bring the photographs (FROM=folder or address: take them from there)"
	@echo "make serve-data        serve them to the others in the room (FROM=folder: those in there)"
	@echo "make links             follow every link of the book to other sites"
	@echo "make lock              list the versions to install anew, after a change of requirements*.txt"
	@echo "make clean             remove what was built"

# TORCH=cpu leaves out what PyTorch brings for graphics cards of NVIDIA, on Linux. The first call
# decides, and $(INSTALLED) remembers it for when the lock changes.
WAS := $(shell cat $(INSTALLED) 2>/dev/null)
TORCH ?= $(WAS)
ifneq ($(filter-out cpu,$(TORCH)),)
  $(error TORCH is $(TORCH): it can be cpu, or nothing)
endif
ifneq ($(TORCH),$(WAS))
  ifneq ($(wildcard $(INSTALLED)),)
    $(error $(VENV) holds another PyTorch than TORCH=$(TORCH) asks for: remove $(VENV), then call make again)
  endif
endif

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV_BIN := _build/uv/$(notdir $(BIN))
define GET_UV
$(PYTHON) -m venv _build/uv
$(UV_BIN)/python -m pip install --quiet --disable-pip-version-check uv
endef

INSTALL_ = $(PIP) -r requirements.lock

# The builds without CUDA lie where only uv looks, and their hashes are not those of the lock. What
# needs them (timm) comes with them: pip would bring the others for it.
define INSTALL_cpu
$(PIP) -r _build/without-torch.lock
$(GET_UV)
$(UV_BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu \
  --no-verify-hashes --constraint requirements.lock torch torchvision timm
endef

_build/without-torch.lock: requirements.lock
	@mkdir -p $(@D)
	awk '/^[a-z]/ { keep = $$0 !~ /^(torch|torchvision|timm|triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==/ } keep' $< > $@

# The lock holds hashes, and pip installs nothing without one beside them: hence two calls.
$(INSTALLED): requirements.lock pyproject.toml $(if $(TORCH),| _build/without-torch.lock)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' || \
	  { echo "This needs Python 3.11.4 or newer; $(PYTHON) is older. Say which: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL_$(TORCH))
	$(PIP) --no-deps -e .
	@echo $(TORCH) > $@

# What only tests and measures. Nothing of it needs PyTorch, so that it is the same without CUDA.
$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	$(PIP) -r requirements-dev.lock
	@touch $@

install: $(INSTALLED)

# What the notebooks hold, or, with EDITION=photos, what they give on the photographs that are there.
book: INTO := $(if $(filter photos,$(EDITION)),_build/photos)
book: $(INSTALLED)
	$(BIN)/jupyter-book build . $(if $(INTO),--path-output $(INTO)) --all --quiet -n -W --keep-going
	@echo "The book is built. Open $(if $(INTO),$(INTO)/)_build/html/index.html"

# On a busy machine threads that wait for each other cost most of the time: two of them, and idle ones
# sleep. (Two trainings at once on two cores: 70 pictures a second each; 6 where idle threads spin.)
export OMP_WAIT_POLICY ?= passive
book: export OMP_NUM_THREADS ?= 2
book test: export TRANSFER_LEARNING_CACHE ?= $(CURDIR)/_build/features

CHAPTERS := $(sort $(wildcard notebooks/*.ipynb))
CHOSEN = $(firstword $(filter notebooks/$(CHAPTER)%,$(CHAPTERS)))
COURSE := $(BIN)/python -m tools.course
BUILT := $(if $(filter photos,$(EDITION)),_build/photos/_build/html,_build/html)
PDF := transfer-learning-hands-on.pdf

# All that a reader or a teacher can be given, as a folder for any web server, or for a double click.
site: export WITH_PDF := 1
site: book
	$(COURSE) pdf $(BUILT) $(BUILT)/$(PDF)
	rm -rf _build/site
	cp -r $(BUILT) _build/site
	@echo "The site is in _build/site: open index.html there, or put it on a web server."

pdf: book
	$(COURSE) pdf $(BUILT) _build/$(PDF)

slides: book
	@echo "The slides are part of the site: open $(BUILT)/slides/"

live: $(INSTALLED)
	$(if $(CHOSEN),,$(error CHAPTER is $(CHAPTER): no notebook begins so))
	$(COURSE) plain _build/live
	MATPLOTLIBRC=notebooks $(BIN)/jupyter lab --config book/lab/config.py \
	  --LabApp.default_url=/rise/_build/live/$(notdir $(CHOSEN))

student: $(INSTALLED)
	$(COURSE) student _build/student

check: $(INSTALLED)
	$(if $(STUDENT),,$(error make check STUDENT=folder: name the folder of what was handed in))
	$(COURSE) check "$(STUDENT)" _build/checked.csv

# For several systems: once for each. What is interrupted goes on. It takes the site of `make site`.
stick: $(INSTALLED)
	$(if $(PLATFORM),,$(error make stick PLATFORM=linux: or linux-cpu, macos, windows))
	$(GET_UV)
	PATH="$(CURDIR)/$(UV_BIN):$$PATH" $(COURSE) stick "$(or $(OUT),_build/stick)" --platform $(PLATFORM) \
	  $(if $(PYTHON_THERE),--python $(PYTHON_THERE)) $(if $(FROM),--photographs "$(FROM)") \
	  $(if $(MANIFEST),--manifest)

# Two files at a time, a thread each: on two cores that is faster than one file with two threads.
BY_TWO := -n 2 --dist loadfile
LAST_FIRST = $(shell ls -r $(CHAPTERS))  # the later chapters take longest

test: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	OMP_NUM_THREADS=1 $(BIN)/pytest $(BY_TWO)
	EDITION=rendered TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/pytest $(BY_TWO) \
	  --no-loadscope-reorder --nbval-lax -p no:cacheprovider $(LAST_FIRST)

test-slow: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(BY_TWO) tests/slow

test-provenance: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(BY_TWO) tools/provenance/tests

# Render every n-th embedded picture again and compare: about 4 seconds each on one processor.
pictures-check: EVERY ?= 20
pictures-check: $(INSTALLED)
	$(BIN)/python -m tools.provenance.render_ants_bees helpers/embedded/ants_bees --check --every $(EVERY)
	$(BIN)/python -m tools.provenance.render_cifar10 helpers/embedded/cifar10 --check --every $(EVERY)

# fastai has an environment of its own. BENCH="--smoke" sees that all runs; see tools/bench/run.py.
PEERS := _build/peers
$(PEERS)/installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check \
	  "fastai>=2.8.12" "torch>=2.14" "torchvision>=0.29" "timm>=1.0.20" "safetensors>=0.5" \
	  "platformdirs>=4" "psutil>=7" "tqdm>=4.66"
	@touch $@

bench: $(INSTALLED_DEV) $(PEERS)/installed
	$(BIN)/python -m tools.bench.run $(BENCH)

lab: $(INSTALLED)
	$(BIN)/jupyter lab --config book/lab/config.py

data: $(INSTALLED)
	$(BIN)/python -m tools.photographs bring $(if $(FROM),--from "$(FROM)")

serve-data: $(INSTALLED)
	$(BIN)/python -m tools.photographs serve $(if $(FROM),--from "$(FROM)")

links: $(INSTALLED)
	$(BIN)/jupyter-book build . --path-output _build/links --all --quiet --builder linkcheck

# One version of each package, with its hashes, for every system and Python. Versions that stand in
# the locks stay while they fit: delete both first to have the newest of all.
LOCK = $(UV_BIN)/uv pip compile --quiet --universal --python-version 3.11.4 --fork-strategy fewest \
  --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
  --no-emit-package transfer-learning-hands-on --custom-compile-command "make lock"

lock:
	$(GET_UV)
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf _build .hypothesis .pytest_cache .ruff_cache
