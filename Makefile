# The two commands a stranger needs: `make demo` and `make test`. Both set up what they need themselves.
LATENCY ?= instant
SIMULATED ?=
# Tests that share hosts run one after another (tests/conftest.py). Three workers on two cores: in the first half of a run
# two of them have hosts, and wait for them half of the time. A fourth did not make it shorter.
WORKERS ?= --numprocesses 3 --dist loadscope --inline-snapshot=disable

.PHONY: demo test test-all check bench bench-hosts setup

demo: setup
	@.venv/bin/python scripts/demo.py --latency $(LATENCY) $(if $(SIMULATED),--simulated)

test: setup
	@.venv/bin/pytest $(WORKERS) -m "not slow"

test-all: setup
	@HETZNER_K3S_EVERY_MOMENT=1 .venv/bin/pytest $(WORKERS)

check: setup
	@scripts/check

# Figures, no verdicts; bench/RESULTS.md keeps them by commit. The second needs root and quiet cores.
bench: setup
	@.venv/bin/python -m bench.run --runs $(or $(RUNS),5)

bench-hosts: setup
	@.venv/bin/python -m bench.run --hosts --runs $(or $(RUNS),5)

setup:
	@scripts/setup
