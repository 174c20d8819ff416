"""Collects what is known of a version that has just gone live: from its pods' numbers, Restate, and the bookkeeper."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx
from kubernetes.client.exceptions import ApiException
from prometheus_client.samples import Sample
from urllib3.exceptions import HTTPError

from app.release.notebook import Notebook
from app.release.numbers import read_books, samples
from app.release.restate_admin import RestateAdmin, UnknownError
from app.release.watching import Books, Evidence, Handled

SERVICE_PORT = 9095
BOOKS_PORT = 9101
SCRAPE_SECONDS = 3.0

Scrape = Callable[[str, int], str]
"""Fetches the numbers of a pod, by its address and port; raises UnknownError."""


def scrape(address: str, port: int) -> str:
    """Fetch the numbers of a pod."""
    host = f"[{address}]" if ":" in address else address
    try:
        answer = httpx.get(f"http://{host}:{port}/metrics", timeout=SCRAPE_SECONDS, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise UnknownError(f"no numbers of the pod at {address}:{port}: {error!r}") from error
    return answer.text


class Collector:
    """Where the evidence of one release is."""

    def __init__(self, notebook: Notebook, restate: RestateAdmin, books: bool, scrape: Scrape = scrape) -> None:
        self._notebook, self._restate, self._scrape = notebook, restate, scrape
        self._has_books = books
        self._looks: list[Mapping[str, Handled]] = []
        """What the candidate had done at each look since it went live."""
        self._looked_at: tuple[str, float] = ("", 0.0)

    def collect(self, version: str, deployment: str, before: str, since: float) -> Evidence:
        """Ask everybody. What somebody does not answer is None, and why is told."""
        silence: list[str] = []
        if (version, since) != self._looked_at:
            self._looks, self._looked_at = [], (version, since)
        candidate = older = troubled = crashing = books = None
        with _told(silence):
            candidate = self._handled(version, needed=True)
        with _told(silence):
            older = self._handled(before, needed=False)
        with _told(silence):
            troubled = self._restate.troubled(deployment)
        with _told(silence):
            crashing = self._notebook.crashing(version, since)
        with _told(silence):
            books = self.books()
        earlier = tuple(self._looks)
        if candidate is not None:
            self._looks.append(candidate)
        return Evidence(candidate, older, troubled, crashing, books, tuple(silence), earlier)

    def books(self) -> Books | None:
        """What the bookkeeper saw last; None where there is none to ask."""
        if not self._has_books:
            return None
        for address in self._notebook.ready("books"):
            if (books := read_books(self._scrape(address, BOOKS_PORT))) is not None:
                return books
        raise UnknownError("the bookkeeper is not ready, or has seen nothing yet")

    def _handled(self, version: str, needed: bool) -> Mapping[str, Handled]:
        addresses = self._notebook.ready("version", version)
        if needed and not addresses:
            raise UnknownError(f"no pod of {version} is ready")
        handled: dict[str, Handled] = {}
        for address in addresses:
            for handler, more in read_handled(self._scrape(address, SERVICE_PORT)).items():
                handled[handler] = handled.get(handler, Handled()) + more
        return handled


@contextmanager
def _told(silence: list[str]) -> Iterator[None]:
    try:
        yield
    except (UnknownError, ApiException, HTTPError) as error:
        silence.append(str(error).split("\n", 1)[0])


def read_handled(text: str) -> Mapping[str, Handled]:
    """What a pod did at each handler, from its numbers."""
    handled: dict[str, Handled] = {}
    for sample in samples(text):
        if more := _one(sample):
            handler = f"{sample.labels['service']}/{sample.labels['handler']}"
            handled[handler] = handled.get(handler, Handled()) + more
    return handled


def _one(sample: Sample) -> Handled | None:
    match sample.name:
        case "betting_handler_attempts_total":
            return Handled(int(sample.value), int(sample.value) if sample.labels["outcome"] == "failed" else 0)
        case "betting_handler_duration_seconds_bucket":
            bound = math.inf if sample.labels["le"] == "+Inf" else float(sample.labels["le"])
            return Handled(within={bound: int(sample.value)})
        case _:
            return None
