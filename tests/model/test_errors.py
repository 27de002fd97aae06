"""Each error keeps what it was made of, and reaches the exit code that stands for it."""

from __future__ import annotations

import pytest

from hetzner_k3s.model import errors
from hetzner_k3s.model.errors import ExitCode, Fate, SshStage

FATE = Fate.MAY_HAVE_HAPPENED

MADE: dict[str, tuple[errors.ProductError, ExitCode]] = {
    "refused": (errors.CloudRefused("no", code="forbidden", fate=FATE), ExitCode.CLOUD_REFUSED),
    "no answer": (errors.CloudUnavailable("late", code="timeout", fate=FATE), ExitCode.FAILED),
    "busy": (errors.HostBusy("busy", server="m1"), ExitCode.FAILED),
    "failed": (errors.OperationFailed("no", server="m1", operation="Probe", fate=FATE), ExitCode.FAILED),
    "changed": (errors.PreconditionChanged("other", server="m1"), ExitCode.FAILED),
    "silent": (errors.HostUnreachable("no", server="m1", stage=SshStage.TCP, fate=FATE), ExitCode.FAILED),
    "api": (errors.KubeError("no", server="m1", fate=FATE), ExitCode.FAILED),
    "storage": (errors.StorageError("no"), ExitCode.FAILED),
}


@pytest.mark.parametrize("name", MADE)
def test_it_reaches_its_exit_code(name: str) -> None:
    error, code = MADE[name]
    assert error.exit_code is code
    assert str(error) == error.args[0]


def test_what_was_not_begun_did_not_happen() -> None:
    for error in (errors.HostBusy("busy", server="m1"), errors.PreconditionChanged("other", server="m1")):
        assert error.fate is Fate.DID_NOT_HAPPEN
        assert error.hint


def test_a_location_that_is_sold_out_is_known_from_one_that_does_not_answer() -> None:
    sold_out = errors.CloudUnavailable("none", code="resource_unavailable", fate=Fate.DID_NOT_HAPPEN)
    assert sold_out.out_of_stock
    late = MADE["no answer"][0]
    assert isinstance(late, errors.CloudUnavailable)
    assert not late.out_of_stock


def test_an_unreachable_host_says_why_with_its_name_or_without() -> None:
    told = errors.HostUnreachable("m1: no", server="m1", stage=SshStage.TCP, fate=FATE, why="no")
    assert (told.why, told.stage) == ("no", SshStage.TCP)
