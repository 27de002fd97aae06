"""The run journal: what this machine remembers of a run. It explains and may forbid a birth; it never decides."""

from __future__ import annotations

from hetzner_k3s.model.plan import PlannedStep
from hetzner_k3s.ports import Local


def run_began(local: Local, cluster: str) -> None:
    """Open the journal: from here on this machine can tell whether the run still lives."""
    local.record("run began", {"cluster": cluster})


def birth_opened(local: Local, cluster: str) -> None:
    """Remember that a birth began from here, so that an empty project cannot be taken for a new cluster."""
    local.record("birth opened", {"cluster": cluster})


def birth_closed(local: Local, cluster: str, ca: str | None) -> None:
    """Remember that the cluster was deleted; a kubeconfig with the CA hash `ca` is no evidence of a living one."""
    local.record("birth closed", {"cluster": cluster, **({"ca": ca} if ca else {})})


def started(local: Local, planned: PlannedStep) -> None:
    """Remember that a step was started, and why."""
    local.record("started", {**_name(planned), "reason": planned.reason.value, "because": planned.because})


def finished(local: Local, planned: PlannedStep, seconds: float) -> None:
    """Remember that a step was carried out."""
    local.record("finished", {**_name(planned), "seconds": f"{seconds:.1f}"})


def failed(local: Local, planned: PlannedStep, error: BaseException) -> None:
    """Remember that a step failed, by the error's own words (no error of ours holds a secret)."""
    local.record("failed", {**_name(planned), "error": type(error).__name__, "message": str(error)})


def _name(planned: PlannedStep) -> dict[str, str]:
    return {"step": planned.key.verb, "target": planned.key.target}
