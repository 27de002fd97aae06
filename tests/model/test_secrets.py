"""A secret leaves through `reveal` only."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from hetzner_k3s.model.secrets import MASK, Secret


@dataclass(frozen=True)
class _Holder:
    token: Secret


def test_no_text_shows_it() -> None:
    secret = Secret("hunter2")
    holder = _Holder(secret)
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr(holder), repr([secret])):  # noqa: UP031
        assert "hunter2" not in text
        assert MASK in text


def test_no_traceback_shows_it() -> None:
    secret = Secret("hun" + "ter2")
    shown = traceback.format_exception(ValueError(secret, _Holder(secret)))
    assert "hunter2" not in "".join(shown)


def test_it_can_be_compared_and_asked_whether_it_is_there() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a")
    assert not Secret("")
    assert Secret("hunter2").reveal() == "hunter2"
