"""Webhooks through the guarded client against `http.client` on one kept connection, one after the other."""

from __future__ import annotations

import http.client
import json
import sys
from statistics import median

from benchmarks import common
from benchmarks.common import Ratio
from notifier import runtime as wiring
from notifier.adapters.http import GuardedClient, new_secret, sign

GOAL = 0.3
BODY = json.dumps({"type": "notice.acknowledged", "data": {"client": "C-001", "company": "Clinique Exemple"}}).encode()


def main() -> None:
    asked = common.options(__doc__)
    posts = asked.size(2_000, 20_000)
    port = common.free_port()
    ratios, ours, theirs = [], [], []
    with common.process(sys.executable, "-m", "benchmarks.peers.receiver", str(port), port=port):
        for _ in range(asked.runs):
            theirs.append(posts / common.seconds(lambda: plain(port, posts)))
            ours.append(posts / common.seconds(lambda: guarded(port, posts)))
            ratios.append(ours[-1] / theirs[-1])
    figures: dict[str, object] = {"rate": median(ours), "http_client_rate": median(theirs)}
    what = "webhooks through the guarded client, signed, against http.client, unsigned"
    common.record("webhooks", [Ratio(what=what, ratios=ratios, goal=GOAL, figures=figures)], asked=asked)


def guarded(port: int, posts: int) -> None:
    client = GuardedClient(now=wiring.now, allowed_networks=["127.0.0.0/8"], allowed_ports=[port])
    secret, url = new_secret(), f"http://127.0.0.1:{port}/"
    for number in range(posts):
        headers = {"content-type": "application/json", **sign(secret, f"msg_{number}", wiring.now(), BODY)}
        if not client.post(url, content=BODY, headers=headers).ok:
            raise SystemExit("a webhook was not taken")
    client.close()


def plain(port: int, posts: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(posts):
        connection.request("POST", "/", BODY, {"content-type": "application/json"})
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
