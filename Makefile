# The doors of the project. Everything installed goes into .venv; everything compiled by hand into build/.
#
#   make build                      .venv/bin/telerelay, from a clean clone, on Debian with python3, gcc and make
#   make demo  ARGS="--duration 20" the relay on 127.0.0.1:8080 with two synthetic participants
#   make test  ARGS="-k sdp"        the tests, two at a time; ARGS goes to pytest
#   make slow  ARGS="-k attacks"    the tests that take minutes, which make test leaves out
#   make rows ARGS="R06"            the health systems of docs/systems.md, played and measured: fails where a bound is missed
#   make abr                        the scoreboard of docs/abr.md in short: fails where a gate that was met is missed
#   make soak                       the control process killed fifty times under load
#   make kills ARGS="--kills 20"    a served relay with consults killed at random moments, 200 times: docs/consult.md
#   make fuzz-sdp SECONDS=3600      what reads SDP, in Python; make fuzz: what reads packets, in C
#   make fuzz-payloads SECONDS=3600 what the recorder reads of pictures, in Python
#   make interop ARGS="-k firefox"  the matrix of docs/interop.md: browsers and stacks of others (as root; installs them)
#   make bench-peers ARGS="--find-max" the same load against telerelay, Janus and aiortc (as root; installs Janus)
#   make bench-leaves ARGS="-k srtp" what one call of each leaf costs; make bench runs them too
#   make bench-lines ARGS="squeeze"  calls of a real Chromium over bad lines (as root): docs/lines.md
#   make bench | fuzz SECONDS=60 | lint | format | clean
#
# PYTHON names the interpreter that .venv is made from (3.11 or newer).

PYTHON ?= python3
ARGS ?=
SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
EXTENSION := src/telerelay/_native.abi3.so

NATIVE := setup.py native/build_native.py $(wildcard native/src/*.c native/src/*.h native/load/*.c native/load/*.h native/include/*.h)
C_FILES := $(wildcard native/src/*.[ch] native/load/*.[ch] native/include/*.h native/tests/*.[ch] native/tests/support/*.[ch] native/fuzz/*.[ch] native/bench/*.[ch])

.PHONY: build demo test slow rows abr soak kills interop bench bench-leaves bench-lines bench-peers fuzz fuzz-sdp fuzz-payloads lint format clean
.DELETE_ON_ERROR:

build: $(EXTENSION)
	@:

# Debian's packages: what is missing only. Cheap, so asked whenever the list or the script is newer.
build/packages: tools/setup.sh tools/debian-packages.txt
	@PYTHON="$(PYTHON)" tools/setup.sh packages
	@mkdir -p $(@D) && touch $@

$(VENV)/installed: pyproject.toml tools/setup.sh | build/packages
	@PYTHON="$(PYTHON)" tools/setup.sh venv
	@touch $@

$(EXTENSION): $(NATIVE) $(VENV)/installed
	@tools/setup.sh native
	@touch $@

demo: build
	@$(BIN)/telerelay demo $(ARGS)

# Two at a time, half of a test is waiting; one after the other where ARGS says more than how to print.
test: build
	@$(BIN)/python -m pytest $(if $(filter-out -q -v,$(ARGS)),,-n 2 --dist worksteal) $(ARGS)

slow: build
	@$(BIN)/python -m pytest -m "slow and not interop" $(ARGS)

rows: build
	@PYTHONPATH=src:tests $(BIN)/python -m rows $(ARGS)

abr: build
	@$(BIN)/telerelay simulate scoreboard --check $(ARGS)

soak: build
	@$(BIN)/python -m pytest -m soak $(ARGS)

kills: build
	@PYTHONPATH=src:tests $(BIN)/python -m kills $(ARGS)

interop: build
	@tools/interop.sh
	@TELERELAY_INTEROP=1 $(BIN)/python -m pytest tests/interop -m "not soak" -v $(ARGS)

bench: build
	@$(BIN)/python benchmarks/forwarding.py $(ARGS)
	@if command -v valgrind >/dev/null; then $(BIN)/python benchmarks/instructions.py; \
	else echo "instructions of a packet: not counted, valgrind is not installed"; fi
	@$(MAKE) --no-print-directory -s bench-leaves ARGS=

# ARGS goes to pytest. Each at its own time: two at once would measure each other.
bench-leaves: build
	@$(BIN)/python -m pytest benchmarks/leaves --benchmark-enable --benchmark-quiet -q -p no:cacheprovider $(ARGS)

bench-peers: build
	@tools/setup.sh peers
	@$(BIN)/python benchmarks/peers/run.py $(ARGS)

bench-lines: build
	@$(BIN)/python benchmarks/lines --html build/lines.html $(ARGS)

fuzz: build/packages
	@$(MAKE) --no-print-directory -C native -s fuzz SECONDS=$(SECONDS) $(ARGS)

fuzz-sdp: build
	@$(BIN)/python tests/fuzz_sdp.py --seconds $(SECONDS) $(ARGS)

fuzz-payloads: build
	@$(BIN)/python tests/fuzz_payloads.py --seconds $(SECONDS) $(ARGS)

lint: build
	@echo "lint: ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "lint: mypy" && $(BIN)/mypy
	@echo "lint: clang-format" && clang-format --dry-run --Werror $(C_FILES)

format: build
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	@clang-format -i $(C_FILES)

clean:
	rm -rf build dist src/*.egg-info src/telerelay/_native*.so src/telerelay/_load*.so \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
