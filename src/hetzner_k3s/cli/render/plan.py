"""Renders plans: waves of steps with their reasons, what is waited for, and refusals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from hetzner_k3s.cli.render.names import short
from hetzner_k3s.cli.render.tables import duration
from hetzner_k3s.model.difference import left_as_it_is
from hetzner_k3s.model.plan import Forecast, PlannedStep, Purchase, Refusal, Wait
from hetzner_k3s.model.steps import CreateServer, Step
from hetzner_k3s.model.steps.words import verb
from hetzner_k3s.model.text.wording import listed

_NAMED = 5
"""How many targets of one kind are named; a wave of 500 workers is one line."""


def forecast_lines(cluster: str, forecast: Forecast) -> Iterator[str]:
    """Render a whole forecast: notes, waves, what is waited for, refusals; one line when nothing is to do."""
    yield from (f"note: {note}" for note in forecast.notes)
    yield from left_alone_lines(forecast)
    yield from plan_lines(cluster, forecast.waves)
    yield from purchase_lines(forecast.purchase)
    yield from time_lines(forecast)
    yield from wait_lines(forecast.waits)
    yield from first_aid_lines(forecast)
    yield from refusal_lines(forecast.refusals)
    if not (forecast.waves or forecast.waits or forecast.refusals):
        yield (f"{cluster}: nothing else to do" if forecast.left_alone else f"{cluster} is up to date: nothing to do")


def purchase_lines(purchase: Purchase) -> Iterator[str]:
    """Render how many servers come and go, and what that makes of the bill; nothing where none do."""
    if not (purchase.created or purchase.replaced or purchase.deleted):
        return
    counts = f"{purchase.created} to create, {purchase.replaced} to replace, {purchase.deleted} to delete"
    if purchase.surge:
        counts += f" ({purchase.surge} of both for the time of the rollout alone)"
    if purchase.monthly is not None:
        yield f"servers: {counts}; price of a month {purchase.monthly:+.2f} (net, as Hetzner lists it)"
    elif purchase.created or purchase.replaced:
        yield f"servers: {counts}; price of a month not known"
    else:
        yield f"servers: {counts}"


def time_lines(forecast: Forecast) -> Iterator[str]:
    """Render about how long the way takes; nothing where there is none."""
    if forecast.waves:
        yield f"time: about {duration(round(forecast.seconds))}"


def left_alone_lines(forecast: Forecast) -> Iterator[str]:
    """Render what stays as it is: what is not well, and what is not as the file says."""
    yield from (f"degraded: {what}" for what in forecast.degraded)
    yield from (f"differs: {what}" for what in left_as_it_is(forecast.differences))


def forecast_rows(forecast: Forecast) -> dict[str, object]:
    """Return a forecast as JSON data: the same rows as `forecast_lines`, one a step."""
    steps = [
        {
            "wave": number,
            "step": planned.key.verb,
            "target": planned.step.target,
            "scope": planned.scope.value,
            "reason": planned.reason.value,
            "because": planned.because,
            "consent": str(planned.consent) if planned.consent else None,
            **_bought(planned.step),
        }
        for number, wave in enumerate(forecast.waves, start=1)
        for planned in wave
    ]
    waits = [wait_row(wait) for wait in forecast.waits]
    refusals = [refusal_row(refusal) for refusal in forecast.refusals]
    return {
        "steps": steps,
        "waits": waits,
        "refusals": refusals,
        "notes": list(forecast.notes),
        "servers": asdict(forecast.purchase),
        "expected_seconds": round(forecast.seconds),
        "degraded": list(forecast.degraded),
        "differences": [{**asdict(one), "remedy": one.remedy.value} for one in forecast.differences],
    }


def wait_row(wait: Wait) -> dict[str, object]:
    """Return what has to come by itself as JSON data."""
    return {"what": wait.what, "because": wait.because, "deadline": wait.deadline}


def refusal_row(refusal: Refusal) -> dict[str, object]:
    """Return a refusal as JSON data."""
    settings = [
        {"file": s.path, "line": s.line, "column": s.column, "key": s.key, "message": s.message}
        for s in refusal.settings
    ]
    return {
        "code": refusal.code,
        "saw": refusal.saw,
        "why": refusal.why,
        "you_can": refusal.you_can,
        "settings": settings,
    }


def _bought(step: Step) -> dict[str, object]:
    if not isinstance(step, CreateServer):
        return {}
    return {
        "server_type": step.server_type,
        "image": step.image,
        "location": step.location,
        "placement_group": step.placement_group,
    }


def plan_lines(cluster: str, waves: Sequence[Sequence[PlannedStep]]) -> Iterator[str]:
    """Render waves: one line for all steps of a wave that do the same, then their reason."""
    for number, wave in enumerate(waves, start=1):
        mark = f"{number}."
        for because, steps in _by_reason(wave).items():
            for words in _sentences(cluster, steps):
                yield f"{mark:>4} {words}"
                mark = ""
            yield f"       because {because}"


def _by_reason(wave: Iterable[PlannedStep]) -> dict[str, list[Step]]:
    groups: dict[str, list[Step]] = {}
    for planned in wave:
        groups.setdefault(_reason(planned), []).append(planned.step)
    return groups


def _reason(planned: PlannedStep) -> str:
    return f"{planned.because} ({planned.consent} permits it)" if planned.consent else planned.because


def _sentences(cluster: str, steps: Iterable[Step]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        groups.setdefault((verb(step), _detail(step)), []).append(short(step.target, cluster))
    return (f"{words} {listed(targets, _NAMED)}{detail}" for (words, detail), targets in groups.items())


def _detail(step: Step) -> str:
    """Return what is bought."""
    return f" ({step.server_type} in {step.location}, {step.image})" if isinstance(step, CreateServer) else ""


def wait_lines(waits: Iterable[Wait]) -> Iterator[str]:
    """Render what has to come by itself."""
    for wait in waits:
        yield f"waiting for {wait.what} (up to {wait.deadline:.0f} s): {wait.because}"


def first_aid_lines(forecast: Forecast) -> Iterator[str]:
    """Render what becomes of refusals beside which something is done: it may be what ends them."""
    if forecast.waves and forecast.refusals:
        yield "this is done first, whatever else is refused; then all is looked at again. As it is now:"


def refusal_lines(refusals: Iterable[Refusal]) -> Iterator[str]:
    """Render refusals: the settings that are refused, what was seen, why nothing is done, what the user can do.

    One line behind them all says how their codes are explained.
    """
    codes: dict[str, None] = {}
    for refusal in refusals:
        codes[refusal.code] = None
        yield from map(str, refusal.settings)
        yield f"refused: {refusal.saw}"
        yield f"    why: {refusal.why}"
        yield f"you can: {refusal.you_can}"
        yield f"   code: {refusal.code}"
    if codes:
        yield f"explain: hetzner-k3s explain {' '.join(codes)}"
