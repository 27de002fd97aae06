"""What is made of an answer of Hetzner: a failure without words, a deletion that is refused, pages of a listing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.adapters.answering import Answer, Answering, answering
from tests.adapters.test_hostile_hetzner import CALLS, outcome, page
from tests.hosts.outside import sent

from hetzner_k3s.model.errors import CloudConflict, CloudError


@pytest.fixture
def api() -> Iterator[Answering]:
    """Give an API that answers whatever a test wants."""
    with answering() as told:
        yield told


def test_what_fails_without_a_reason_is_told_as_that(api: Answering) -> None:
    failed = {"action": {"id": 1, "command": "poweron", "status": "error"}}
    error = outcome(api, CALLS["power_on"], Answer(sent(failed), 201))
    assert str(error).startswith("Hetzner: poweron failed: no reason given (action_failed)")


def test_what_stays_in_use_is_asked_to_go_eight_times(api: Answering) -> None:
    in_use = Answer(sent({"error": {"code": "resource_in_use", "message": "in use"}}), 422)
    assert isinstance(outcome(api, CALLS["delete"], in_use), CloudConflict)
    assert api.methods() == ["DELETE"] * 8


def test_each_page_is_asked_for_once(api: Answering) -> None:
    three = {**page("servers"), "meta": {"pagination": {"last_page": 3, "total_entries": 1}}}
    assert not isinstance(outcome(api, CALLS["servers"], Answer(sent(three))), CloudError)
    assert sorted(re.findall(r"[?&]page=(\d+)", " ".join(path for _, path, _ in api.asked))) == ["1", "2", "3"]
