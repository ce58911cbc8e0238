# computed needs Debian, Python 3.11 or newer, make and git.
#
#   make run          run a complete computed on this host, in the foreground
#   make test         lint, pages and every test; install what they need
#   make lint         check style, layers, types, acts without a claim
#   make docs         build the pages into doc/build/html; warnings are errors
#   make benchmarks   measure what reads cost, beside the least they can cost
#   make chaos        ten minutes of random faults; SEED=7 repeats a run
#   make schedules    a minute of simulated cells; SECONDS=, SEED=swarm:7
#   make unit         run one suite; also: functional, integration, mutations
#   make clean        remove everything that the others made, except .state
#
# STATE=DIR is where make run keeps its state. PYTHON=python3.12 is the Python
# of .venv.

PYTHON ?= python3
STATE ?= $(CURDIR)/.state
# make test runs them in the order of tests/support/order.py.
SUITES := integration functional mutations unit
# Most tests wait for servers, so more of them run than there are cores.
WORKERS := 4
# Else each process of a run compiles all modules again.
PYTEST := env PYTHONDONTWRITEBYTECODE= .venv/bin/pytest
export PYTHON

.PHONY: run test lint docs benchmarks chaos schedules $(SUITES) clean packages \
	debian-packages
.NOTPARALLEL:

# exec: Ctrl-C and SIGTERM reach computed itself, and no shell reports how it
# ended.
run:
	@$(call ensure_venv,run)tools/python-packages
	@exec .venv/bin/computed --state-path '$(STATE)'

# Lint and pages use one core, and tests often leave one: they run side by side.
# Not $(MAKE): make -n would run the whole line.
test: debian-packages packages
	.venv/bin/python -P tools/beside.py \
	    'make --no-print-directory lint docs' \
	    'exec $(PYTEST) --numprocesses=$(WORKERS) --dist=loadfile \
	    --no-loadscope-reorder $(SUITES:%=tests/%) tests/schedules'

lint: packages
	.venv/bin/ruff check
	.venv/bin/lint-imports --no-logo
	.venv/bin/mypy
	.venv/bin/python -P tools/claimlint.py

docs: packages
	.venv/bin/sphinx-build -qW --keep-going doc/source doc/build/html

benchmarks: debian-packages packages
	.venv/bin/python -m tests.benchmarks
	.venv/bin/python -m tests.benchmarks.router

chaos: debian-packages packages
	.venv/bin/python -m tests.chaos $(if $(SEED),--seed $(SEED)) \
	    $(if $(MINUTES),--minutes $(MINUTES))

schedules: packages
	.venv/bin/python -m tests.schedules $(SEED) \
	    $(if $(SECONDS),--seconds $(SECONDS))

unit: packages
functional integration mutations: debian-packages packages
$(SUITES):
	$(PYTEST) tests/$@

packages:
	@$(call ensure_venv,test)tools/python-packages test

# If the user may not install packages, make continues: pytest skips the tests
# whose program is missing, and reports them.
debian-packages:
	@$(call ensure_debian,test)tools/debian-packages test || [ $$? = 2 ]

# Stop with one line if make cannot go on without Debian packages, and this
# user may not install them. A recipe that fails would add a second line.
ensure_debian = $(if $(shell tools/debian-packages --why-not $(1)),$(error \
	$(shell tools/debian-packages --why-not $(1))))
# The same, unless there is a .venv.
ensure_venv = $(if $(wildcard .venv/bin/python),,$(ensure_debian))

clean:
	rm -rf .venv .tox build dist doc/build *.egg-info .ruff_cache .mypy_cache
	rm -rf .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
