"""The page of a cluster: the same skeleton as a run's, and the same promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.browser import Page, in_chromium, needs_chromium
from tests.cli.runs import HOSTILE
from tests.cli.test_run_page import Elements
from tests.decide.world import CREATE, MASTER2, SPEC, forecast, healthy, lose

from hetzner_k3s import decide
from hetzner_k3s.cli.pages.status_page import status_page
from hetzner_k3s.model.report import Drift, Report, SnapshotReport


def a_report() -> Report:
    state = lose(healthy(), MASTER2)
    return decide.report(SPEC, state, CREATE, forecast(state))


def hostile() -> Report:
    report = a_report()
    servers = tuple(replace(one, name=HOSTILE, detail=HOSTILE, hetzner=HOSTILE) for one in report.servers)
    members = tuple(replace(one, name=HOSTILE, connected=(HOSTILE,)) for one in report.members)
    snapshot = SnapshotReport(name=HOSTILE, where=HOSTILE, created=0.0, age=1.0, size=5)
    drift = (Drift(code="token", subject=HOSTILE, saw=HOSTILE),)
    return replace(
        report,
        cluster=HOSTILE,
        because=(HOSTILE,),
        servers=servers,
        members=members,
        snapshots=(snapshot,),
        drift=drift,
        not_seen=(HOSTILE,),
        versions={HOSTILE: ("x",)},
    )


def test_it_shows_what_status_shows() -> None:
    text = " ".join(Elements(status_page(a_report())).text.split())
    assert text.count(MASTER2) > 2
    assert "prod: degraded" in text
    assert "2 of 3 healthy, 2 needed" in text
    assert "save snapshot" in text
    assert "dead" in text


def test_what_comes_from_outside_is_text() -> None:
    page = status_page(hostile())
    found = Elements(page)
    assert HOSTILE not in page
    assert {"script", "img"} & set(found.tags) == set()
    assert not any(name.startswith("on") or name == "style" for name, _ in found.attributes)
    assert found.text.count(HOSTILE) > 10


@needs_chromium
@pytest.mark.parametrize("report", [a_report(), hostile()], ids=["lost", "hostile"])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_a_browser_shows_it_without_a_complaint(report: Report, width: int, dark: bool, tmp_path: Path) -> None:
    file = tmp_path / "status.html"
    file.write_text(status_page(report))

    async def story(page: Page) -> None:
        await page.open(file.as_uri(), width=width, dark=dark)
        assert page.complaints == []
        assert page.requests == [file.as_uri()]
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.press("Tab")
        assert await page.evaluate("document.activeElement.getAttribute('aria-label')") == "Servers"

    in_chromium(tmp_path / "profile", story)
