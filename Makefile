# Everything runs in .venv, which `make` fills itself: ROS 2 included, nothing else on the machine is touched.
# Needs Linux, git, Python >= 3.10 with venv, a C++ compiler. Another Python: make PYTHON=python3.12 ...

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) -m pip install -qq --retries 10 --timeout 60 --disable-pip-version-check
PACKAGE := setup.py pyproject.toml package.xml CMakeLists.txt $(wildcard cmake/* msg/* srv/* launch/*.py config/*)

# A download that breaks off in the middle is not retried by pip: try the whole command three times.
retry = for pause in 5 20 0; do $(1) && exit 0; [ $$pause = 0 ] || { echo "  failed, once more in $$pause s"; sleep $$pause; }; done; exit 1

# An option, if its variable stands on the command line: shells have a HOST of their own.
given = $(if $(filter command,$(origin $(1))),$(2) "$($(1))")

.PHONY: help venv demo desk check test lint clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

venv: $(VENV)/.installed  ## set up .venv: PyTorch, ROS 2 Jazzy, our messages, sam2_ros (editable)

demo: venv  ## follow things through a video with the real ROS graph, into demo/  (VIDEO=clip.mp4 CLICK=640,360: yours; a folder of images or a bag; CLICK="640,360 100,200" BOX=X,Y,WIDTH,HEIGHT MASK=FILE LABEL="cup hand")
	$(RUN) -m sam2_ros.ros.demo $(if $(VIDEO),--video "$(VIDEO)") $(if $(CLICK),--click $(CLICK)) $(if $(BOX),--box $(BOX)) $(if $(MASK),--mask $(MASK)) $(if $(LABEL),--label $(LABEL)) $(if $(IMAGES),--images $(IMAGES)) --out demo

desk: venv  ## the operator's desk in the browser, over a camera that plays a scene: prints the address; Ctrl-C ends it  (PORT=8642, HOST=0.0.0.0)
	@$(RUN) -m sam2_ros desk --demo $(call given,HOST,--host) $(call given,PORT,--port)

check: venv  ## before every commit, in about two minutes: style, types, import rules and the fast tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -q -m "not slow" -n 2 --durations 5 --durations-min 2

test: venv  ## all tests, in about half an hour  (TESTS=tests/model: some of them)
	$(RUN) -m pytest $(TESTS)

lint: venv  ## check the style of the sources
	$(RUN) -m ruff check .

clean:  ## remove everything that was built, .venv too
	rm -rf $(VENV) build install log dist demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@echo "[1/4] virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.requirements: requirements-dev.txt | $(RUN)
	@echo "[2/4] PyTorch (200 MB to 3 GB, the longest step)"
	@$(call retry,$(PIP) "$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' $<)")
	@echo "[3/4] ROS 2 Jazzy and tools"
	@$(call retry,$(PIP) -r $<)
	@$(call retry,$(PIP) --no-deps vos-benchmark==0.1.0)  # it asks for the OpenCV with windows, beside the one without
	@command -v cmake > /dev/null || { $(call retry,$(PIP) cmake); }
	@touch $@

$(VENV)/.installed: $(PACKAGE) $(VENV)/.requirements
	@echo "[4/4] sam2_ros: dependencies, and its messages (about a minute)"
	@$(call retry,$(PIP) --no-warn-conflicts --no-build-isolation -e ".[dev]")  # vos-benchmark misses its own OpenCV
	@touch $@
