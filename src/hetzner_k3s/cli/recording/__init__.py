"""The debug transcript of a run: every call that leaves this machine, every decision and step, without a secret."""

from hetzner_k3s.cli.recording.recorder import Recorder

__all__ = ["Recorder"]
