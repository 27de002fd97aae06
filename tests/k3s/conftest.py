"""The recordings of a real k3s, and rigs of hosts that run the lab's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hetzner_k3s.lab.realhosts.requirements import missing
from hetzner_k3s.lab.realhosts.rootfs import ensure_rootfs

from .rig import Rig

RECORDINGS = Path(__file__).parent / "recordings"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of recordings (docs/facts/recordings.md)."""
    return RECORDINGS


@pytest.fixture(scope="session")
def rootfs() -> Path:
    """Give the hosts' root filesystem, built once."""
    lacking = missing()
    if lacking:
        if os.environ.get("CI") == "true":
            pytest.fail(f"hosts cannot run here: {', '.join(lacking)}")
        pytest.skip(f"real hosts cannot run here, missing: {', '.join(lacking)}")
    return ensure_rootfs()


@pytest.fixture(scope="module")
def new_rig(rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Rig]]:
    """Make rigs that are taken down after the module's tests."""
    made: list[Rig] = []

    def make(latency: str = "instant") -> Rig:
        rig = Rig(rootfs, tmp_path_factory.mktemp("rig"), latency)
        made.append(rig)
        return rig.__enter__()

    try:
        yield make
    finally:
        for rig in made:
            rig.close()
