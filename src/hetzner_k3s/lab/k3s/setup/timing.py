"""How long the model takes: `instant` (only what the real parts need) or `typical`.

See docs/facts/k3s.md#timings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROFILE_FILE = Path("/etc/hetzner-k3s-lab/latency")


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Leader election by a Lease object, all in seconds (client-go's words)."""

    duration: float
    renew_deadline: float
    retry: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits of one profile, in seconds unless the name says otherwise.

    `listen`, `serve` and `token` are moments since the start of the process; the other waits follow one another.
    """

    listen: float
    serve: float
    token: float
    apiserver: float
    announce: float
    node: float
    network: float
    storage: float
    connection_stall: float
    promotion_tick: float
    condition_tick: float
    heartbeat_ms: int
    election_ms: int
    etcd_lease: LeaseTiming
    controller_lease: LeaseTiming
    node_grace: float
    bootstrap_patience: float


# A lone etcd member elects itself after a random part of its election timeout. With k3s' 5 s a first server would be
# active after 2-6 s whatever else we do, so `instant` has a shorter raft clock, as the one thing it changes in etcd.
INSTANT = Timing(
    listen=0,
    serve=0,
    token=0,
    apiserver=0,
    announce=0,
    node=0,
    network=0,
    storage=0.2,
    connection_stall=0,
    promotion_tick=15,
    condition_tick=1,
    heartbeat_ms=100,
    election_ms=1000,
    etcd_lease=LeaseTiming(duration=12, renew_deadline=10, retry=1),
    controller_lease=LeaseTiming(duration=12, renew_deadline=10, retry=1),
    node_grace=40,
    bootstrap_patience=3,
)

# runs/17_timeline_m1.txt (first server), runs/06_timeline_m2.txt (joining), runs/02_watch_m2.txt (leases: 45 and 22 s).
TYPICAL = Timing(
    listen=1.15,
    serve=1.45,
    token=2.75,
    apiserver=2.9,
    announce=0.7,
    node=0.7,
    network=1.2,
    storage=1.5,
    connection_stall=15,
    promotion_tick=15,
    condition_tick=15,
    heartbeat_ms=500,
    election_ms=5000,
    etcd_lease=LeaseTiming(duration=45, renew_deadline=30, retry=2),
    controller_lease=LeaseTiming(duration=15, renew_deadline=10, retry=2),
    node_grace=50,
    bootstrap_patience=15,
)

PROFILES = {"instant": INSTANT, "typical": TYPICAL}


def load(path: Path = PROFILE_FILE) -> Timing:
    """Read the profile's name from the host's lab file; no file means `instant`.

    Raises:
        ValueError: the file names no profile.
    """
    name = path.read_text().strip() if path.exists() else "instant"
    if name not in PROFILES:
        raise ValueError(f"{path}: unknown latency profile {name!r}, known: {', '.join(PROFILES)}")
    return PROFILES[name]
