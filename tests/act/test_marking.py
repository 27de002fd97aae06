"""What goes with the cluster is marked before; what is gone meanwhile needs no mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from hetzner_k3s.act.context import Gone, HostKeyRing, LabelChange, Outcome
from hetzner_k3s.act.handlers.teardown import mark_for_deletion
from hetzner_k3s.act.state_patch import fold
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView
from hetzner_k3s.model.errors import CloudError, CloudRefused, Fate
from hetzner_k3s.model.hetzner.belongings import Belongings, Volume
from hetzner_k3s.model.steps import MarkForDeletion

from .test_host_keys import SPEC
from .virtual_time import LoopClock, run
from .world import World

STEP = MarkForDeletion(target="pvc-1", kind="volume", resource_id=71, uid="u-1")
VIEW = CloudView(belongings=Belongings(volumes=(Volume(id=71, name="pvc-1", size=10, labels={"of": "somebody"}),)))


@dataclass
class Labelling(World):
    """Takes the labels of volumes, or refuses with a code."""

    refuses: str = ""

    async def merge_labels(self, kind: str, resource_id: int, changes: Mapping[str, str | None]) -> dict[str, str]:
        assert (kind, resource_id) == ("volume", 71)
        if self.refuses:
            raise CloudRefused(self.refuses, code=self.refuses, fate=Fate.DID_NOT_HAPPEN)
        return {key: value for key, value in changes.items() if value is not None}


def marked(refuses: str = "") -> Outcome:
    async def story() -> Outcome:
        place = Labelling(refuses=refuses)
        return await mark_for_deletion(STEP, await place.context(SPEC, LoopClock(), HostKeyRing()))

    return run(story())


def test_a_volume_carries_its_mark_beside_its_other_labels() -> None:
    outcome = marked()
    assert outcome.labels == (LabelChange("volume", 71, {naming.LABEL_GOES_WITH: "u-1"}),)
    belongings = fold(VIEW, outcome).belongings
    assert belongings is not None
    assert belongings.volumes[0].labels == {"of": "somebody", naming.LABEL_GOES_WITH: "u-1"}


def test_a_volume_that_is_gone_already_is_gone() -> None:
    outcome = marked("not_found")
    assert outcome.gone == (Gone("volume", 71),)
    assert fold(VIEW, outcome).belongings == Belongings()


def test_another_refusal_is_a_failure_of_the_step() -> None:
    with pytest.raises(CloudError, match="token_readonly"):
        marked("token_readonly")
