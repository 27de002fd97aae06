"""The tests that may kill a sampled mutant: those that need no real host and end, together, within ten minutes.

Of the adapters' tests those that send anything at all are left out, which take as long as all others together. Of the
simulation the storms, the speeds, the model's own tests and most runs that are killed at every moment are left
out: they take longest and go where the others have been.
"""

from __future__ import annotations

from typing import Final

_CONTRACT: Final = ("adapter_guards", "hetzner_adapter", "load_balancer_correction", "own_place")
_SIMULATION: Final = (
    "agents_of_2x",
    "arrivals",
    "backup",
    "budget",
    "ca_rotation",
    "database",
    "differences",
    "every_request",
    "found",
    "found_by_owners",
    "hetzner_transport",
    "kube_requests",
    "laws",
    "load_balancer",
    "loop",
    "node_labels",
    "requests",
    "restore_file",
    "retirement",
    "said",
    "scenarios",
    "seldom",
    "situations",
    "status",
)

STATIC: Final = (
    "tests/architecture/test_hints.py",
    "tests/architecture/test_encodings.py",
    "tests/act/test_waits.py",
)
"""Tests that read the source, or a table made of it: they try every mutant, last."""

SUITE: Final = (
    *STATIC,
    "tests/act",
    "tests/adapters",
    *(f"--ignore=tests/adapters/test_hostile_{what}.py" for what in ("hetzner", "kube")),
    "tests/cli",
    "tests/hosts",
    "tests/observe",
    *(f"tests/contract/test_{name}.py" for name in _CONTRACT),
    *(f"tests/sim/test_{name}.py" for name in _SIMULATION),
)
