"""Every step that a plan can hold has a handler."""

from __future__ import annotations

import inspect
from typing import get_args

from hetzner_k3s.act.registry import HANDLERS
from hetzner_k3s.model.steps import Step


def test_every_step_has_a_handler_and_no_handler_is_left_over() -> None:
    assert set(HANDLERS) == set(get_args(Step))


def test_each_handler_is_written_for_the_step_it_is_registered_for() -> None:
    takes = {step: inspect.get_annotations(handler)["step"] for step, handler in HANDLERS.items()}
    assert takes == {step: step.__name__ for step in HANDLERS}
