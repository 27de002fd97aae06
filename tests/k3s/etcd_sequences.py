"""Random sequences of operations: chosen by what the model's members have come to, so that most of them make sense."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.lab.simulated.virtual_time import run

from .etcd_model_world import ModelWorld, slot_of
from .etcd_operations import SLOTS, Operation, Outcome

LENGTH: Final = 14
"""Operations in a sequence."""

_WEIGHTS: Final = {
    "write": 5,
    "add": 5,
    "join": 10,
    "promote": 8,
    "remove": 3,
    "kill": 3,
    "restart": 5,
    "wipe": 1,
    "cut": 2,
    "mend": 4,
    "reset": 1,
    "save": 1,
    "restore": 2,
}


@dataclass(frozen=True)
class Sequence:
    """A sequence with what the model made of it; `begun` is how its `size` members looked at first."""

    seed: int
    size: int
    begun: Outcome
    told: tuple[tuple[Operation, Outcome], ...]


def sequence(seed: int, *, strict: bool) -> Sequence:
    """Make the sequence of a seed, by letting the model live through it."""
    return run(_lived(seed, strict))


async def _lived(seed: int, strict: bool) -> Sequence:
    chance = random.Random(seed)
    world, size = ModelWorld(seed, strict=strict), chance.choice((1, 3, 3, 5))
    await world.begin(size)
    await world.settled()
    begun = Outcome("ok", await world.picture())
    told: list[tuple[Operation, Outcome]] = []
    while len(told) < LENGTH:
        operation = _choose(world, chance)
        answer = await world.carry_out(operation)
        if operation.what == "promote" and answer == "ok" and chance.random() < 0.5:
            told.append((operation, Outcome(answer, await world.picture())))
            operation = _hasty(world, chance, operation)
            answer = await world.carry_out(operation)
        await world.settled()
        told.append((operation, Outcome(answer, await world.picture())))
    return Sequence(seed, size, begun, tuple(told))


def _hasty(world: ModelWorld, chance: random.Random, promotion: Operation) -> Operation:
    """Go on at once, when the new voter has been connected for less than five seconds."""
    free = [slot for slot in SLOTS if _unknown(world, promotion.via, slot)]
    if free and chance.random() < 0.6:
        return Operation("add at once", chance.choice(free), promotion.via)
    return Operation("remove at once", promotion.slot, promotion.via)


def _choose(world: ModelWorld, chance: random.Random) -> Operation:
    possible = list(_possible(world, chance))
    kinds = sorted({operation.what for operation in possible})
    kind = chance.choices(kinds, [_WEIGHTS[what] for what in kinds])[0]
    return chance.choice([operation for operation in possible if operation.what == kind])


def _possible(world: ModelWorld, chance: random.Random) -> Iterator[Operation]:
    up = [slot for slot in SLOTS if world.speaks(slot) and not world.etcd[slot].data.me.learner]
    for slot in SLOTS:
        yield from _to_the_machine(world, slot)
    if not up:
        return
    via = chance.choice(up)
    yield Operation("write", chance.randrange(100), via)
    yield Operation("save", 0, via)
    for slot in SLOTS:
        yield from _to_the_list(world, slot, via)


def _to_the_machine(world: ModelWorld, slot: int) -> Iterator[Operation]:
    if world.running(slot):
        yield Operation("kill", slot)
        yield Operation("mend" if slot in world.cut else "cut", slot)
        return
    if slot in world.cut:
        yield Operation("mend", slot)
    if world.saved is not None:
        yield Operation("restore", slot)
    if world.has_data(slot):
        yield from (Operation(what, slot) for what in ("restart", "wipe", "reset"))


def _to_the_list(world: ModelWorld, slot: int, via: int) -> Iterator[Operation]:
    if _unknown(world, via, slot):
        # Whoever has data of another life at that address is in the way of nobody: it is not asked to join.
        yield Operation("add", slot, via)
        return
    yield Operation("remove", slot, via)
    listed = world.etcd[via].data.members.values()
    member = next((m for m in listed if slot_of(m.peer_urls[0]) == slot), None)
    if member is None:
        return
    if not member.name and not world.running(slot) and not world.has_data(slot) and _may_join(world, slot, via):
        yield Operation("join", slot, via)
    # How far one lags that is away depends on how many entries a log has, which is not the model's to say.
    if not member.name or (world.speaks(slot) and not {slot, via} & world.cut):
        yield Operation("promote", slot, via)


def _may_join(world: ModelWorld, slot: int, via: int) -> bool:
    """Tell whether a joiner is introduced by one cluster: it asks whoever lives at the addresses it was given."""
    data = world.etcd[via].data
    others = [slot_of(m.peer_urls[0]) for m in data.members.values() if m.name]
    strangers = [s for s in others if world.running(s) and world.etcd[s].data.cluster_id != data.cluster_id]
    return not strangers and not {slot, via} & world.cut


def _unknown(world: ModelWorld, via: int, slot: int) -> bool:
    listed = {slot_of(m.peer_urls[0]) for m in world.etcd[via].data.members.values()}
    return slot not in listed and not world.running(slot) and not world.has_data(slot)
