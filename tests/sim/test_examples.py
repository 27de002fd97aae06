"""Every file of `examples/` makes a cluster that is as the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.config.conftest import PUBLIC_KEY

from hetzner_k3s.config.loader import load
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.world import TOKEN

from . import tool
from .story import healthy

EXAMPLES: Final = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_cluster_of_an_example_has_no_difference(path: Path, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519").write_text("no key: nobody logs in with it here")
    (tmp_path / ".ssh/id_ed25519.pub").write_text(PUBLIC_KEY)
    spec = load(path, {"HOME": str(tmp_path), "HCLOUD_TOKEN": TOKEN}).spec

    async def tell() -> None:
        async with healthy(1, spec=spec) as story:
            ahead = await tool.plan(story.world, story.spec)
            assert (ahead.differences, ahead.waves, ahead.refusals, ahead.degraded) == ((), (), (), ())

    virtual_time.run(tell())
