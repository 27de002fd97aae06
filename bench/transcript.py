"""Measures what the debug transcript costs a run: a note of a call, and the digest of 1,000 nodes for a decision.

Prints figures; nothing is asserted.
Usage: python -m bench.transcript
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.plan import a_spec

from hetzner_k3s import addons, decide
from hetzner_k3s.adapters.system.transcripts import TranscriptFile
from hetzner_k3s.cli.recording import Recorder
from hetzner_k3s.cli.recording.digest import Digests
from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.model.cloud import CloudView
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.state import ClusterState

_NODES = 1000
_NOTES = 20_000


def main() -> None:
    """Measure and print."""
    spec = a_spec(_NODES)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
    state = ClusterState(observed_at=0.0, cloud=Known(CloudView()))
    for wave in decide.forecast(spec, state, intent).waves:
        for planned in wave:
            state = predict(spec, state, planned.step)
    digests = Digests(spec)
    began = time.process_time()
    digests.of(state, intent)
    first = time.process_time() - began
    began = time.process_time()
    digests.of(replace(state, cloud=Known(state.view)), intent)  # another listing, and hosts as they were
    again = time.process_time() - began
    sys.stdout.write(
        f"digest of {_NODES} nodes: {1000 * first:.1f} ms at first, {1000 * again:.1f} ms after a listing\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = TranscriptFile(Path(folder), "create", "bench", 0.0)
        recorder = Recorder(file, spec, time.monotonic, 0, print)
        began = time.process_time()
        for number in range(_NOTES):
            recorder.call(
                "ssh", 0.0, server=f"prod-worker{number}", call="Probe", outcome="HostUnreachable", message="x"
            )
        recorder.end(0)
        each = (time.process_time() - began) / _NOTES
        size = file.path.stat().st_size if file.path else 0
    sys.stdout.write(f"{_NOTES} notes: {1e6 * each:.0f} µs and {size / _NOTES:.0f} bytes each\n")


if __name__ == "__main__":
    main()
