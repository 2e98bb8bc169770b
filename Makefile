# Every target sets up what it needs: python3 (3.11 or newer, with venv), git and make are enough.
# Another interpreter: make PYTHON=python3.13 test. Arguments for pytest: make test ARGS='-k ring -x'.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.ready-to-run
DEV    := $(VENV)/.ready-to-develop
WRITE  := $(VENV)/.ready-to-document
ARGS   ?=
SOURCE := cicada launcher visualizer samples tests benchmarks docs

# Sizes of the long proofs; `make prove CICADA_STEPS=100000` for a shorter one.
prove: export CICADA_STEPS ?= 1000000
prove: export CICADA_FUZZ ?= 1000000
prove: export CICADA_INTRUDERS ?= 10000
# Scenarios of the simulator with all their seeds, or a sample of a few minutes: CICADA_SCENARIOS=sample.
prove: export CICADA_SCENARIOS ?= full
prove: export CICADA_NODES ?= 4096
prove: export CICADA_MESSAGES ?= 1000000
prove: export CICADA_PEERS ?= 200
prove: export CICADA_PATHS ?= 200
# Seconds for which a swarm is overloaded; from 60 on it has 200 peers.
prove: export CICADA_OVERLOAD ?= 600
# Peers of the chaos that is gone through twice: 20 for 20 s, or 200 for ten minutes each time.
prove: export CICADA_CHAOS ?= 200
# Commands of the documents that take minutes are run too, unless this says otherwise.
prove: export CICADA_DOCS ?= full
# The distributions are tried with every Python from 3.11 on that is found, or with the one that runs the tests: running.
prove: export CICADA_PYTHONS ?= all
PROOF_TIMEOUT ?= 3600

# Tests start many processes: what one has compiled, the others load, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check format docs prove bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    start a swarm of 20 peers, watch it prove its ring and deliver, end it"
	@echo "make test    all tests, within five minutes"
	@echo "make check   style, types"
	@echo "make format  have ruff lay out the code"
	@echo "make docs    the documentation, into build/docs"
	@echo "make prove   the long proofs in full"
	@echo "make bench   the benchmarks"
	@echo "make clean   remove what the targets made"

demo: $(RUN)
	$(BIN)/cicada demo

# Seven processes would all rewrite the assertions of all tests, at half a minute: two do it first, one half each.
test: $(DEV)
	@$(BIN)/python -m pytest --collect-only -qq tests/[a-l]* >/dev/null 2>&1 & \
	    $(BIN)/python -m pytest --collect-only -qq tests/[m-z]* >/dev/null 2>&1; wait
	$(BIN)/python -m pytest --numprocesses 7 --dist loadscope $(ARGS)

check: $(DEV)
	$(BIN)/ruff check $(SOURCE)
	$(BIN)/ruff format --check $(SOURCE)
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix $(SOURCE)
	$(BIN)/ruff format $(SOURCE)

# Warnings are errors. Nothing is fetched.
docs: $(WRITE)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

prove: $(DEV)
	$(BIN)/python -m pytest -m "prove or sized" --timeout $(PROOF_TIMEOUT) $(ARGS)

bench: $(DEV)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.actors $(ARGS)
	$(BIN)/python -m benchmarks.channels $(ARGS)
	$(BIN)/python -m benchmarks.handshakes $(ARGS)
	$(BIN)/python -m benchmarks.relay $(ARGS)
	$(BIN)/python -m benchmarks.sessions $(ARGS)
	$(BIN)/python -m benchmarks.throughput $(ARGS)
	$(BIN)/python -m benchmarks.transfer $(ARGS)
	$(BIN)/python -m benchmarks.watching $(ARGS)
	$(BIN)/python -m benchmarks.folding $(ARGS)
	$(BIN)/python -m benchmarks.frames $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(SOURCE) -name __pycache__ -type d -prune -exec rm -rf {} +

# pip 25.1 is the first to know dependency groups.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Cicada needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(RUN): pyproject.toml $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable ".[fast,load,viz]"
	@touch $@

$(DEV): pyproject.toml $(RUN)
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(WRITE): pyproject.toml $(RUN)
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@
