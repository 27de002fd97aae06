# The two commands a stranger needs: `make demo` and `make test`. Both set up what they need themselves.
LATENCY ?= instant
SIMULATED ?=
# Tests that share hosts run one after another, in a worker of their own (tests/conftest.py).
WORKERS ?= --numprocesses 2 --dist loadscope --inline-snapshot=disable

.PHONY: demo test test-all check setup

demo: setup
	@.venv/bin/python scripts/demo.py --latency $(LATENCY) $(if $(SIMULATED),--simulated)

test: setup
	@.venv/bin/pytest $(WORKERS) -m "not slow"

test-all: setup
	@HETZNER_K3S_EVERY_MOMENT=1 .venv/bin/pytest $(WORKERS)

check: setup
	@scripts/check

setup:
	@scripts/setup
