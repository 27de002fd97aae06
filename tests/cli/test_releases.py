"""`releases`: k3s' own list of channels, and what is said where it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from inline_snapshot import snapshot
from tests.adapters.test_channel import answering

from .conftest import Invoke

CHANNELS = {"stable": "v1.35.9+k3s1", "latest": "v1.36.3+k3s1", "v1.35": "v1.35.9+k3s1", "v1.36": "v1.36.3+k3s1"} | {
    "v1.9": "v1.9.12+k3s1",
    "testing": "v1.37.0-rc2+k3s1",
    "v1.16-testing": "",
}


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve a list of channels."""
    data = [{"id": name, "name": name, "latest": newest} for name, newest in CHANNELS.items()]
    with answering(json.dumps({"data": data}).encode()) as url:
        monkeypatch.setenv("INSTALL_K3S_CHANNEL_URL", url)
        yield


@pytest.mark.usefixtures("listed")
def test_a_line_a_release_the_oldest_first(invoke: Invoke) -> None:
    ended = invoke("releases")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == snapshot("""\
v1.9.12+k3s1      v1.9
v1.35.9+k3s1      stable, v1.35
v1.36.3+k3s1      latest, v1.36
v1.37.0-rc2+k3s1  testing
""")


@pytest.mark.usefixtures("listed")
def test_a_channel_is_one_release_for_a_script(invoke: Invoke) -> None:
    assert invoke("releases", "--channel", "stable").out == "v1.35.9+k3s1\n"
    unknown = invoke("releases", "--channel", "v1.99")
    assert (unknown.code, unknown.out) == (2, "")
    assert "k3s has no channel 'v1.99'; there are v1.9, " in unknown.err


@pytest.mark.usefixtures("listed")
def test_json_maps_channels_to_releases(invoke: Invoke) -> None:
    assert json.loads(invoke("releases", "--json").out) == {name: newest for name, newest in CHANNELS.items() if newest}
    assert json.loads(invoke("releases", "--json", "--channel", "latest").out) == {"latest": "v1.36.3+k3s1"}


def test_a_list_that_cannot_be_read_is_said_with_what_to_do(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTALL_K3S_CHANNEL_URL", "http://127.0.0.1:9/channels")
    ended = invoke("releases")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == snapshot("""\
error: http://127.0.0.1:9/channels gave no channels: <urlopen error [Errno 111] Connection refused>
       Any release of github.com/k3s-io/k3s/releases may stand in the file: `create` checks what it downloads.
""")


def test_a_lab_without_a_list_asks_nobody_else(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSTALL_K3S_CHANNEL_URL", raising=False)
    monkeypatch.setenv("HCLOUD_ENDPOINT", "http://127.0.0.1:9/v1")
    ended = invoke("releases")
    assert (ended.code, "names no list of k3s' releases" in ended.err) == (1, True)
