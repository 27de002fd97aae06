"""What a person sees at a terminal while a run goes on: each screen was looked at, and is as it should be."""

from __future__ import annotations

import asyncio
import re

import pytest
from inline_snapshot import snapshot
from tests.sim.clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec

from hetzner_k3s.cli.render.ending import Ending
from hetzner_k3s.model.errors import ExitCode, HostBusy, ProductError
from hetzner_k3s.model.plan import Forecast, Verb, Wait

from .story import Film, Way, play

SPEC = a_spec()
WAY = Way(SPEC)
SMALL, LARGE = (80, 24), (200, 50)


def below_the_plan(lines: list[str]) -> str:
    """Return what stands below the last line of the plan."""
    last = max((i for i, line in enumerate(lines) if line.startswith("time: ")), default=-1)
    return "\n".join(lines[last + 1 :])


async def ordered(film: Film, way: Way = WAY) -> None:
    """Go on to the moment when the servers were ordered, 4 s after the run began."""
    await film.until(2)
    film.reporter.shown(way.forecast)
    film.start(way.network)
    film.reporter.say(SPEC.name, "making the private network 10.0.0.0/16")
    await film.until(4)
    film.end(way.network)
    for step in way.order.values():
        film.start(step)
        film.reporter.say(step.step.target, "asking for the server")


def ending(film: Film, code: ExitCode = ExitCode.CONVERGED) -> Ending:
    """Return how the story ended."""
    return Ending(
        verb=Verb.CREATE,
        code=code,
        tally=film.reporter.tally,
        seconds=film.reporter.seconds,
        api="https://192.0.2.1:6443",
        kubeconfig="/home/someone/kubeconfig",
    )


async def half_way(film: Film) -> None:
    """Go on to the moment when all but one master are installed, and that one takes its time."""
    await ordered(film)
    for second, name in ((20, WORKER1), (22, MASTER2), (24, WORKER2), (26, MASTER3)):
        await film.until(second)
        film.end(WAY.order[name])
        film.start(WAY.secure[name])
        film.reporter.say(name, "waiting for its SSH")
    for second, name in ((30, WORKER1), (34, MASTER2)):
        await film.until(second)
        film.end(WAY.secure[name])
        film.start(WAY.install[name])
        film.reporter.say(name, "installing k3s v1.36.3+k3s1")
    await film.until(38)
    film.end(WAY.install[WORKER1])


def test_before_the_way_is_known_it_says_what_it_looks_at() -> None:
    seen: list[str] = []

    async def story(film: Film) -> None:
        seen.extend(await film.until(3.1))

    play(SPEC, SMALL, story)
    assert seen == snapshot(["  prod looking        3 s  at Hetzner, the hosts and the API"])


def test_a_line_a_server_and_what_the_rest_waits_for() -> None:
    screens: list[str] = []

    async def story(film: Film) -> None:
        await ordered(film)
        screens.append(below_the_plan(await film.until(10)))
        await half_way(film)
        screens.append(below_the_plan(await film.until(52)))

    play(SPEC, SMALL, story)
    assert screens[0] == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
▸ master1            ordered        6 s  asking for the server
  master2            ordered        6 s  asking for the server
  master3            ordered        6 s  asking for the server
  pool-small-worker1 ordered        6 s  asking for the server
  pool-small-worker2 ordered        6 s  asking for the server
  ━━───────────  15%  10 s, about 55 s left\
""")
    assert screens[1] == snapshot("""\
   10.0s prod                 making the private network 10.0.0.0/16
▸ master1            ordered       42 s  usually 25 s: asking for the server
  master2            installing    18 s  usually 8 s: installing k3s …
  master3            booting       26 s  usually 9 s: waiting for its SSH
  pool-small-worker1 installed     14 s  waits for master1
  pool-small-worker2 booting       28 s  usually 9 s: waiting for its SSH
  ━━━━━━━──────  54%  52 s, about 45 s left; expected 1 min 11 s\
""")


def test_the_end_stays_as_plain_lines() -> None:
    async def story(film: Film) -> None:
        await half_way(film)
        film.end(WAY.order[MASTER1], WAY.install[MASTER2], WAY.secure[MASTER3], WAY.secure[WORKER2])
        for second, steps in (
            (44, [WAY.secure[MASTER1]]),
            (50, [WAY.install[name] for name in (MASTER1, MASTER3, WORKER2)]),
            (58, [WAY.init]),
            (64, [WAY.join[name] for name in (WORKER1, WORKER2)]),
            (70, [WAY.join[name] for name in (MASTER2, MASTER3)]),
        ):
            film.start(*steps)
            await film.until(second)
            film.end(*steps)
        await film.until(72)
        film.reporter.ended(ending(film))

    film = play(SPEC, SMALL, story)
    assert below_the_plan(film.emulator.lines) == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
   58.0s master1              serving
   64.0s pool-small-worker1   ready
   64.0s pool-small-worker2   ready
   70.0s master2              joined
   70.0s master3              joined
   72.0s prod                 is up to date: 5 created in 1 min 12 s; API at
                              https://192.0.2.1:6443
next: export KUBECONFIG=/home/someone/kubeconfig\
""")
    assert film.written.endswith("\x1b[?2026l")
    assert film.written.count("\x1b[?2026h") == film.written.count("\x1b[?2026l")
    assert "\x1b[2J" not in film.written, "the screen was emptied, and nobody had resized it"
    assert film.written.rindex("\x1b[?25h") > film.written.rindex("\x1b[?25l"), "the cursor is back"


def test_a_large_terminal() -> None:
    seen: list[str] = []

    async def story(film: Film) -> None:
        await half_way(film)
        seen.append(below_the_plan(await film.until(52)))

    play(SPEC, LARGE, story)
    assert seen[0] == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
▸ master1            ordered       48 s  usually 25 s: asking for the server
  master2            installing    18 s  usually 8 s: installing k3s v1.36.3+k3s1
  master3            booting       26 s  usually 9 s: waiting for its SSH
  pool-small-worker1 installed     14 s  waits for master1
  pool-small-worker2 booting       28 s  usually 9 s: waiting for its SSH
  ━━━━━━━━━━━━━━━━━━━━━───────────────────  54%  52 s, about 45 s left; expected 1 min 3 s\
""")


def test_more_servers_than_lines() -> None:
    spec = a_spec(workers=97)
    way = Way(spec)
    screens: list[str] = []

    async def story(film: Film) -> None:
        await ordered(film, way)
        await film.until(20)
        workers = [worker.name for worker in spec.workers()]
        film.end(*(way.order[name] for name in workers[3:]))
        film.start(*(way.secure[name] for name in workers[5:]))
        screens.append("\n".join(await film.until(30)))
        film.end(*(way.secure[name] for name in workers[5:]), *(way.order[name] for name in workers[:3]))
        await film.until(31)
        film.reporter.ended(ending(film, ExitCode.FAILED))

    film = play(spec, SMALL, story)
    assert screens[0] == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
▸ master1             ordered       26 s  asking for the server
  master2             ordered       26 s  asking for the server
  master3             ordered       26 s  asking for the server
  pool-small-worker1  ordered       26 s  asking for the server
  pool-small-worker2  ordered       26 s  asking for the server
  pool-small-worker3  ordered       26 s  asking for the server
  pool-small-worker6  booting       10 s
  pool-small-worker7  booting       10 s
  pool-small-worker8  booting       10 s
  pool-small-worker9  booting       10 s
  pool-small-worker10 booting       10 s
  pool-small-worker11 booting       10 s
  pool-small-worker12 booting       10 s
  pool-small-worker13 booting       10 s
  pool-small-worker14 booting       10 s
  pool-small-worker15 booting       10 s
  pool-small-worker16 booting       10 s
  pool-small-worker17 booting       10 s
  pool-small-worker18 booting       10 s
  pool-small-worker19 booting       10 s
  and 80 more: 78 booting, 2 up
  ━━━━━━───────  43%  30 s, about 40 s left\
""")
    assert film.emulator.lines[-2:] == snapshot(
        [
            "   31.0s prod                 100 servers: 92 secured, 5 up, 3 ordered",
            "   31.0s prod                 stopped: 97 created in 31 s",
        ]
    )


def test_a_terminal_that_is_resized_in_the_middle() -> None:
    screens: list[str] = []

    async def story(film: Film) -> None:
        await half_way(film)
        await film.until(45)
        for size in ((60, 16), (40, 10), (120, 30)):
            film.resize(*size)
            screens.append("\n".join(await film.until(film.reporter.seconds + 1)))

    play(SPEC, SMALL, story)
    assert screens[0] == snapshot("""\
       because the file asks for it
  6. join master master2, master3
     join worker pool-small-worker1, pool-small-worker2
       because the file asks for it
servers: 5 to create, 0 to replace, 0 to delete; price of a
         month +0.00 (net, as Hetzner lists it)
time: about 1 min 1 s
    2.0s prod                 making the private network
                              10.0.0.0/16
▸ master1            ordered       42 s  usually 25 s: …
  master2            installing    12 s  installing k3s …
  master3            booting       20 s  usually 9 s: …
  pool-small-worker1 installed      8 s  waits for master1
  pool-small-worker2 booting       22 s  usually 9 s: …
   51%  46 s, about 45 s left; expected 1 min 3 s\
""")
    assert screens[1] == snapshot("""\
time: about 1 min 1 s
    2.0s prod                 making the
  private network 10.0.0.0/16
▸ master1            ordered       43 s
  master2            installing    13 s
  master3            booting       21 s
  pool-small-worker1 installed      9 s
  pool-small-worker2 booting       23 s
   52%  47 s, about 45 s left; …\
""")
    assert screens[2] == snapshot("""\
  1. make network prod
       because the file asks for it
  2. create server master1, master2, master3, pool-small-worker1, pool-small-worker2 (cpx22 in fsn1, debian-13)
       because the file asks for it
  3. replace boot host key of master1, master2, master3, pool-small-worker1, pool-small-worker2
       because the file asks for it
  4. install k3s on master1, master2, master3, pool-small-worker1, pool-small-worker2
       because the file asks for it
  5. start the cluster on master1
       because the file asks for it
  6. join master master2, master3
     join worker pool-small-worker1, pool-small-worker2
       because the file asks for it
servers: 5 to create, 0 to replace, 0 to delete; price of a month +0.00 (net, as Hetzner lists it)
time: about 1 min 1 s
    2.0s prod                 making the private network 10.0.0.0/16
▸ master1            ordered       44 s  usually 25 s: asking for the server
  master2            installing    14 s  usually 8 s: installing k3s v1.36.3+k3s1
  master3            booting       22 s  usually 9 s: waiting for its SSH
  pool-small-worker1 installed     10 s  waits for master1
  pool-small-worker2 booting       24 s  usually 9 s: waiting for its SSH
  ━━━━━━━━━━━━━━━━━━━━━───────────────────  52%  48 s, about 45 s left; expected 1 min 3 s\
""")


def test_what_is_tried_again_has_not_failed_and_what_failed_is_named() -> None:
    screens: list[str] = []

    async def story(film: Film) -> None:
        await half_way(film)
        busy = HostBusy("another operation runs on prod-master2 and did not end within 60 s", server=MASTER2)
        film.reporter.failed(WAY.install[MASTER2], busy, again=True)
        screens.append(below_the_plan(await film.until(40)))
        film.start(WAY.install[MASTER2])
        await film.until(41)
        film.reporter.failed(WAY.install[MASTER2], busy, again=False)
        screens.append(below_the_plan(await film.until(42)))

    play(SPEC, SMALL, story)
    assert screens[0] == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
   38.0s master2              trying again (install k3s on master2): another
                              operation runs on prod-master2 and did not end
                              within 60 s
▸ master1            ordered       36 s  asking for the server
  master2            again          2 s  another operation runs on …
  master3            booting       14 s  waiting for its SSH
  pool-small-worker1 installed      2 s  waits for master1
  pool-small-worker2 booting       16 s  usually 9 s: waiting for its SSH
  ━━━━━━───────  49%  40 s, about 40 s left; expected 1 min 3 s\
""")
    assert screens[1] == snapshot("""\
    2.0s prod                 making the private network 10.0.0.0/16
   38.0s master2              trying again (install k3s on master2): another
                              operation runs on prod-master2 and did not end
                              within 60 s
   41.0s master2              failed (install k3s on master2): another operation
                              runs on prod-master2 and did not end within 60 s
▸ master1            ordered       38 s  usually 25 s: asking for the server
  master2            failed         1 s  another operation runs on …
  master3            booting       16 s  usually 9 s: waiting for its SSH
  pool-small-worker1 installed      4 s  waits for master1
  pool-small-worker2 booting       18 s  usually 9 s: waiting for its SSH
  ━━━━━━───────  50%  42 s, about 45 s left; expected 1 min 3 s\
""")


def test_what_comes_by_itself_is_waited_for_in_sight() -> None:
    seen: list[str] = []

    async def story(film: Film) -> None:
        await film.until(1)
        film.reporter.shown(Forecast(waves=(), waits=(), refusals=(), notes=()))
        film.reporter.waiting(Wait(what="the cluster to come to rest", because="an election is under way", deadline=20))
        seen.append("\n".join(await film.until(8)))

    play(SPEC, SMALL, story)
    assert seen[0] == snapshot("""\
    1.0s prod                 waiting for the cluster to come to rest (up to 20
                              s): an election is under way
  prod waiting        7 s  for the cluster to come to rest\
""")


def test_a_question_has_the_terminal_to_itself() -> None:
    async def story(film: Film) -> None:
        await film.until(2)
        film.reporter.shown(WAY.forecast)
        await film.until(4)
        with film.reporter.paused():
            before = film.look()
            await film.clock.sleep(600)
            assert film.look() == before
            assert before[-1].startswith("time: ")
        assert film.reporter.seconds == 4, "who thinks about the answer is not the run"
        film.start(WAY.network)
        assert film.look() == before
        assert re.search(r" +7%  5 s, about 1 min left$", (await film.until(5))[-1])

    play(SPEC, SMALL, story)


@pytest.mark.parametrize("coloured", [True, False])
def test_without_colours_no_style_is_written(coloured: bool) -> None:
    seen: list[tuple[str, set[str]]] = []

    async def story(film: Film) -> None:
        await half_way(film)
        await film.until(52)
        seen.append((film.emulator.text, film.emulator.colours))

    film = play(SPEC, SMALL, story, coloured=coloured)
    assert "▸ master1" in seen[0][0]
    assert (seen[0][1] == {"default"}) is not coloured
    assert ("\x1b[0m" in film.written) is coloured


@pytest.mark.parametrize("size", [SMALL, LARGE, (40, 12), (300, 100)])
def test_no_line_is_as_wide_as_the_terminal_and_no_frame_as_high(size: tuple[int, int]) -> None:
    """A line that fills the last column, or a frame that scrolls, leaves its remains above the next one."""
    frames: list[list[str]] = []

    async def story(film: Film) -> None:
        await half_way(film)
        for second in range(39, 60):
            screen = await film.until(second)
            frames.append(screen[next(i for i, line in enumerate(screen) if line.startswith("▸")) :])

    play(a_spec(workers=30), size, story)
    assert max(len(line) for frame in frames for line in frame) < size[0]
    assert {sum(line.startswith("▸") for line in frame) for frame in frames} == {1}
    assert {sum("left" in line for line in frame) for frame in frames} == {1}


def test_an_error_takes_the_frame_away() -> None:
    async def story(film: Film) -> None:
        await half_way(film)
        raise ProductError("the end")

    with pytest.raises(ProductError, match="the end"):
        play(SPEC, SMALL, story)


def test_text_of_a_host_moves_no_cursor() -> None:
    async def story(film: Film) -> None:
        await ordered(film)
        film.reporter.say(MASTER1, "still runs \x1b[2J\x1b[31mevil")
        film.reporter.failed(WAY.order[MASTER2], HostBusy("\x1b[5A busy", server=MASTER2), again=True)
        assert "\\x1b[31mevil" in "\n".join(await film.until(8))

    film = play(SPEC, SMALL, story, coloured=False)
    assert "\x1b[2J" not in film.written
    assert "\x1b[5A" not in film.written


def test_an_interruption_is_seen_while_the_lock_is_given_back() -> None:
    seen: list[str] = []

    async def story(film: Film) -> None:
        await half_way(film)
        run = asyncio.current_task()
        assert run is not None
        run.cancel()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.extend(await film.until(40))
            run.uncancel()

    play(SPEC, SMALL, story)
    assert any(re.fullmatch(r"  prod +ending +\d s  interrupted; giving the lock back", line) for line in seen), seen
