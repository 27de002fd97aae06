"""What runs in every cluster, as objects to apply: pure renderers."""

from __future__ import annotations

from hetzner_k3s.addons.manifests import ANNOTATION_DIGEST, credentials, digests, manifests

__all__ = ["ANNOTATION_DIGEST", "credentials", "digests", "manifests"]
