"""What is made of an answer of Hetzner: one without words or cut short, a moment that is none, many pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from tests.adapters.answering import Answer, Answering, answering
from tests.adapters.test_hostile_hetzner import CALLS, SERVER, cloud_at, outcome, page
from tests.hosts.outside import sent

from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudUnavailable, Fate


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


@pytest.mark.parametrize(
    "cut",
    [Answer(b'{"action":{"id":1,"st', 201), Answer(b'{"action"', 201, length=500), Answer(b"[]", 201)],
    ids=["no JSON", "fewer bytes than announced", "another document"],
)
def test_a_success_that_was_cut_short_may_have_happened(api: Answering, cut: Answer) -> None:
    """Seen: it was called `DID_NOT_HAPPEN`, an endpoint that cannot be asked."""
    error = outcome(api, CALLS["power_on"], cut)
    assert isinstance(error, CloudUnavailable)
    assert error.fate is Fate.MAY_HAVE_HAPPENED


@pytest.mark.parametrize("cut", [Answer(b'{"network":{"id":7', 201), Answer(b"{}", 201), Answer(b'{"network":5}', 201)])
def test_what_was_made_before_its_answer_was_cut_short_is_adopted(api: Answering, cut: Answer) -> None:
    listed = Answer(sent(page("networks")))
    api.asked.clear()
    api.answer = lambda method, _path: cut if method == "POST" else listed
    network = asyncio.run(cloud_at(api).create_network("demo", "10.0.0.0/16", "eu-central", {"cluster": "demo"}))
    assert network.id == 7
    assert api.methods() == ["POST", "GET"]


@pytest.mark.parametrize("moment", ["", "yesterday", "2027-02-31T08:00:00Z", "0001-01-01T00:00:00"])
def test_a_moment_that_is_none_is_said(api: Answering, moment: str) -> None:
    rebuilt = {"actions": [{"id": 1, "command": "rebuild_server", "finished": moment}]}
    error = outcome(api, CALLS["last_rebuild"], Answer(sent(rebuilt)))
    assert str(error) == "Hetzner answered last rebuild with what cannot be read: actions[0].finished is no moment"


def test_a_server_whose_time_of_creation_is_none_is_listed(api: Answering) -> None:
    """Only a claim is held against that time."""
    listed = {**page("servers"), "servers": [{**SERVER, "created": "yesterday"}]}
    (server,) = outcome(api, CALLS["servers"], Answer(sent(listed)))
    assert server.created is None
