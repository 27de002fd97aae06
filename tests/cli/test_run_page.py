"""The picture of a run: one file that loads nothing and runs nothing, whatever the names in it are."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from tests.cli.browser import Page, in_chromium, needs_chromium
from tests.cli.runs import HOSTILE, Event, a_hostile_run, a_large_run, a_run, step, write

from hetzner_k3s.cli.history.runs import read_run
from hetzner_k3s.cli.pages.run_page import run_page
from hetzner_k3s.model.secrets import Secret

from .conftest import Invoke

NAME = "20270115T080000Z-create-abc123.jsonl"


def page_of(tmp_path: Path, events: list[Event]) -> str:
    return run_page(read_run(write(tmp_path / NAME, events)))


class Elements(HTMLParser):
    """Gathers elements, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "events", [a_run(), a_hostile_run(), list(a_large_run(50)), []], ids=["run", "hostile", "large", "empty"]
)
def test_it_is_one_file_that_loads_and_runs_nothing(events: list[Event], tmp_path: Path) -> None:
    page = page_of(tmp_path, events)
    found = Elements(page)
    assert {"script", "img", "iframe", "object", "form"} & set(found.tags) == set()
    names = {name for name, _ in found.attributes}
    assert not any(name.startswith("on") for name in names)
    assert {"src", "style", "srcset", "action"} & names == set()
    assert {value for name, value in found.attributes if name == "href"} == {"data:,", "#chain"}
    assert "url(" not in page
    assert "@import" not in page


def test_its_policy_allows_its_own_style_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_run())
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = html.unescape(policy[1]).split("; ")
    assert allowed[0] == "default-src 'none'"
    assert f"style-src 'sha256-{digest}'" in allowed
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_what_comes_from_outside_is_text(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_hostile_run())
    assert HOSTILE not in page
    assert "<script" not in page
    assert Elements(page).text.count(HOSTILE) > 5


def test_a_secret_and_an_escape_sequence_are_not_in_it(tmp_path: Path) -> None:
    Secret("a-secret-in-a-page-0815")
    events = a_run()
    events[0]["who"] = "a-secret-in-a-page-0815\x1b[2J\u202e"
    page = page_of(tmp_path, events)
    assert "a-secret-in-a-page-0815" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_it_says_in_words_where_the_time_went(tmp_path: Path) -> None:
    text = " ".join(Elements(page_of(tmp_path, a_run())).text.split())
    assert "62% create server prod-master1 (37.0 s)" in text
    assert "install k3s on prod-master1 9.0 s, from 41.0 s on" in text
    assert "waited for the API 8.0 s, from 50.0 s on" in text


def test_a_lane_is_a_server_and_many_are_folded(tmp_path: Path) -> None:
    assert re.findall(r'class="name">([^<]*)<', page_of(tmp_path, a_run())) == [
        "what the run waited for",
        "master1",
        "worker1",
    ]
    large = page_of(tmp_path, list(a_large_run(1000)))
    assert "971 more servers" in large
    assert len(large) < 3_000_000


def test_history_writes_it(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    write(home / ".local/state/hetzner-k3s/prod/transcripts" / NAME, a_run())
    told = invoke("history", "--html", "run.html")
    assert (told.code, told.out, told.err) == (0, "", "run abc123 is drawn in run.html\n")
    assert "create of prod" in (home / "run.html").read_text()
    assert invoke("history", "1", "--html", "no/such/folder.html").code == 2


@needs_chromium
@pytest.mark.parametrize("events", [a_run(), a_hostile_run()], ids=["run", "hostile"])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False)])
def test_a_browser_shows_it_without_a_complaint(events: list[Event], width: int, dark: bool, tmp_path: Path) -> None:
    file = tmp_path / "run.html"
    file.write_text(page_of(tmp_path, events))

    async def story(page: Page) -> None:
        await page.open(file.as_uri(), width=width, dark=dark)
        assert page.complaints == []
        assert page.requests == [file.as_uri()]
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 200) is dark

    in_chromium(tmp_path / "profile", story)


@needs_chromium
def test_every_bar_is_reached_by_the_keyboard_and_tells_its_details(tmp_path: Path) -> None:
    file = tmp_path / "run.html"
    file.write_text(page_of(tmp_path, a_run()))
    reached = "document.activeElement.className.startsWith('bar') ? document.activeElement.id : ''"
    shown = "getComputedStyle(document.activeElement.nextElementSibling).display"

    async def story(page: Page) -> None:
        await page.open(file.as_uri())
        bars = await page.evaluate("document.querySelectorAll('.bar').length")
        assert bars == 12
        seen: list[str] = []
        for _ in range(bars + 1):
            await page.press("Tab")
            if bar := await page.evaluate(reached):
                seen.append(bar)
                assert await page.evaluate(shown) == "block"
                assert len(await page.evaluate("document.activeElement.nextElementSibling.innerText")) > 20
        assert len(set(seen)) == bars
        assert await page.evaluate("document.querySelectorAll('.tip').length - 1") == await page.evaluate(
            "[...document.querySelectorAll('.tip')].filter(t => getComputedStyle(t).display === 'none').length"
        )

    in_chromium(tmp_path / "profile", story)


@needs_chromium
def test_a_bar_under_the_pointer_tells_its_details(tmp_path: Path) -> None:
    file = tmp_path / "run.html"
    file.write_text(page_of(tmp_path, a_run()))

    async def story(page: Page) -> None:
        await page.open(file.as_uri())
        x, y = await page.evaluate(
            "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.getElementById('b2').getBoundingClientRect())"
        )
        await page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        assert await page.evaluate("getComputedStyle(document.getElementById('d2')).display") == "block"
        assert "create server prod-master1" in await page.evaluate("document.getElementById('d2').innerText")

    in_chromium(tmp_path / "profile", story)


def rules_of(page: str) -> dict[str, str]:
    """Return where each element lies, by its id."""
    return dict(re.findall(r"#(\w+)\{([^}]*)\}", page.partition("<style>")[2].partition("</style>")[0]))


@pytest.mark.parametrize(
    ("seconds", "apart", "last"),
    [
        (6, "0:01", "0:05"),
        (60, "0:10", "0:50"),
        (240, "0:30", "3:30"),
        (480, "1:00", "7:00"),
        (3600, "10:00", "50:00"),
        (30 * 86400, "24:00 h", "672:00 h"),
    ],
)
def test_the_axis_names_moments_that_have_room(seconds: int, apart: str, last: str, tmp_path: Path) -> None:
    page = page_of(tmp_path, [*a_run()[:1], {"at": float(seconds), "event": "end", "code": 0}])
    labels = dict(re.findall(r'id="t(\d+)"[^>]*>([^<]*)<', page))
    places = [float(rules_of(page)[f"t{number}"].removeprefix("left:").removesuffix("%")) for number in labels]
    assert (labels["0"], labels["1"], list(labels.values())[-1]) == ("0:00", apart, last)
    assert places[0] == 0.0
    assert places[-1] <= 94.0
    assert len({round(after - before, 1) for before, after in pairwise(places)}) <= 2


def test_a_bar_lies_where_its_time_was_and_below_another_of_the_same_time(tmp_path: Path) -> None:
    events = a_run()
    events[-1:-1] = [*step("LabelNode", "prod-master1", 30.0, 45.0), *step("LabelNode", "prod-worker1", 45.0, 48.0)]
    page = page_of(tmp_path, events)
    rules = rules_of(page)
    bars = dict(re.findall(r'id="b(\d+)"[^>]*>(?:<[^>]*>)*([^<]*)<', page))
    at = {words: rules[f"b{number}"] for number, words in bars.items()}
    assert at == snapshot(
        {
            "looked at the cluster and planned": "left:0.000%;width:3.333%",
            "took the operator lock and looked again": "left:3.333%;width:1.667%",
            "create server prod-master1": "left:5.000%;width:61.667%",
            "looked at what had changed": "left:66.667%;width:1.667%",
            "install k3s on prod-master1": "left:68.333%;width:15.000%",
            "waited for the API": "left:83.333%;width:13.333%",
            "record as member prod-master1": "left:96.667%;width:1.667%",
            "looked at the result and gave the lock back": "left:98.333%;width:1.667%",
            "create server": "left:5.000%;width:11.667%",
            "set labels and taints of": "left:75.000%;width:5.000%",
            "install k3s on": "left:68.333%;width:15.000%",
            "record as member": "left:96.667%;width:1.667%",
        }
    )
    assert {name: rule for name, rule in rules.items() if name.startswith("l")} == snapshot({"l1": "height:3.6rem"})
