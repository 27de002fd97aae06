"""The lab's S3 service: moto, where it is installed, with one bucket, at an address that hosts and operator reach."""

from __future__ import annotations

import importlib.util
import logging

from hetzner_k3s.lab.realhosts.network.links import OPERATOR

PORT = 9000
ENDPOINT = f"http://{OPERATOR}:{PORT}"
BUCKET = "snapshots"


def serve() -> bool:
    """Serve it in threads of this process, which end with it; False where moto is not installed."""
    if importlib.util.find_spec("moto") is None:
        return False
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer
    from moto.s3.models import s3_backends

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    ThreadedMotoServer(ip_address=OPERATOR, port=PORT, verbose=False).start()
    s3_backends["123456789012"]["aws"].create_bucket(BUCKET, "us-east-1")
    return True
