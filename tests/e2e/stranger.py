"""What a pod reaches of HOST:PORT..., and what the door answers at /PATH..., without a token: two objects of JSON."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

SECONDS = 3
targets = [word for word in sys.argv[1:] if not word.startswith("/")]
paths = [word for word in sys.argv[1:] if word.startswith("/")]


def reaches(target: str) -> bool:
    host, port = target.split(":")
    with socket.socket() as tried:
        tried.settimeout(SECONDS)
        return tried.connect_ex((host, int(port))) == 0


def may_reach(target: str) -> bool:
    """Twice, because a busy machine may be slow to connect."""
    return any(reaches(target) for _ in range(2))


def reason(path: str) -> str:
    told: str = httpx.post(f"http://betting-edge:8080{path}", timeout=60).json()["metadata"]["reason"]
    return told


with ThreadPoolExecutor() as at_once:
    reached = dict(zip(targets, at_once.map(may_reach, targets), strict=True))
print(json.dumps([reached, {path: reason(path) for path in paths}]))
