"""Labels and taints are written as k3s takes them."""

from __future__ import annotations

import typing

from hetzner_k3s.model.spec import Label, Taint, TaintEffect


def test_a_label_and_a_taint() -> None:
    effect = typing.get_args(TaintEffect)[0]
    assert str(Label(key="a", value="b")) == "a=b"
    assert str(Taint(key="a", value="b", effect=effect)) == f"a=b:{effect}"
