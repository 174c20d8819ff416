"""Clients who ask URL without a pause, each time on a new connection, for SECONDS; then how long they waited: JSON."""

import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

URL, SECONDS = sys.argv[1], float(sys.argv[2])
CLIENTS, PAUSE_SECONDS, LONGEST_SECONDS = 4, 0.1, 120
ONCE = httpx.Limits(max_keepalive_connections=0)


def client(until: float) -> tuple[Counter[str], float]:
    """What one client was told, and the longest that it waited, in seconds."""
    told, longest = Counter[str](), 0.0
    with httpx.Client(limits=ONCE, timeout=LONGEST_SECONDS, trust_env=False) as http:
        while (began := time.monotonic()) < until:
            try:
                told[str(http.post(URL).status_code)] += 1
            except httpx.TransportError as error:
                told[type(error).__name__] += 1
            longest = max(longest, time.monotonic() - began)
            time.sleep(PAUSE_SECONDS)
    return told, longest


end = time.monotonic() + SECONDS
with ThreadPoolExecutor() as at_once:
    seen = list(at_once.map(client, [end] * CLIENTS))
print(json.dumps({"told": sum((told for told, _ in seen), Counter()), "longest": max(longest for _, longest in seen)}))
