"""The caps of docs/security.md are those of the code, and what goes beyond the rarer ones is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hetzner_k3s.adapters import kube_session, s3, s3_pool, ssh_dial
from hetzner_k3s.adapters.hetzner import connection, listing
from hetzner_k3s.adapters.system import given, rescues
from hetzner_k3s.hosts import admin_kubeconfig, log_answer, procedures
from hetzner_k3s.model.kubernetes import run_history
from hetzner_k3s.model.text import printable

_PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text()
_TABLE = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", _PAGE.partition("### Caps")[2], re.MULTILINE))
_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30


def _sizes(what: str) -> list[int]:
    """Return the sizes that a row names, in bytes."""
    unit = {"KiB": _KIB, "MiB": _MIB, "GiB": _GIB}
    return [int(number) * unit[name] for number, name in re.findall(r"(\d+) ([KMG]iB)", _TABLE[what])]


def _counts(what: str) -> list[int]:
    """Return the plain numbers that a row names."""
    numbers = re.findall(r"([\d,]+)(?! [KMG]iB|\d|,)", _TABLE[what])
    return [int(number.replace(",", "")) for number in numbers if number.strip(",")]


def test_the_page_names_the_caps_of_hosts() -> None:
    assert _sizes("a host's answer") == [procedures.ANSWER, procedures._LOG_ANSWER, log_answer._SEGMENT]
    assert _sizes("a host's stream (snapshot, archive of its data)") == [procedures._FILE]
    limits = rescues._LIMITS
    assert _sizes("an archive of a host's data") == [limits.file, limits.whole]
    assert _counts("an archive of a host's data") == [limits.files]
    assert _sizes("a zip that `--restore` names") == [given._UNPACKED_BYTES]
    assert _sizes("a master's kubeconfig") == [admin_kubeconfig._MOST]
    assert _counts("a message that is quoted") == [printable.LINE_CHARACTERS, ssh_dial._WORDS]


def test_the_page_names_the_caps_of_apis() -> None:
    assert _sizes("an answer of Hetzner") == [connection._MOST_BYTES]
    assert _counts("an answer of Hetzner") == [listing.PAGES_MOST]
    assert ("two minutes" in _TABLE["an answer of Hetzner"], connection._WHOLE_SECONDS) == (True, 120)
    assert _sizes("an answer of a Kubernetes API") == [kube_session._MOST_BYTES]
    assert _counts("an answer of a Kubernetes API") == [kube_session._PAGES_MOST]
    assert _counts("the runs that a cluster notes") == [run_history.KEPT, run_history.LONGEST_ENTRY]
    assert _sizes("an answer of S3") == [s3_pool._MOST_BYTES, s3._OBJECT_BYTES]
    assert _counts("an answer of S3") == [s3_pool._REQUESTS_MOST, s3._OBJECTS_MOST]


@pytest.mark.parametrize("most", [printable.LINE_CHARACTERS, ssh_dial._WORDS])
def test_a_long_message_is_cut_with_a_mark(most: int) -> None:
    assert printable.excerpt("x" * most, most) == "x" * most
    assert printable.excerpt("x" * (most + 1), most) == "x" * most + " …"
