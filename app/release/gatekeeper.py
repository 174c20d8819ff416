"""Asks the gates about a version of the release, one asker at a time, and notes what they say."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.release import gate_notes, history
from app.release.cluster import AnchorGoneError, Cluster, Intent
from app.release.evidence import BOOKS_PORT, scrape
from app.release.gates import replay
from app.release.gates.bounds import ReplayBounds
from app.release.gates.findings import Checked, Gate, Outcome, as_lines
from app.release.gates.gates import PATIENCE_SECONDS, Asked, run
from app.release.notebook import Notebook
from app.release.plan import Version
from app.release.restate_admin import RestateAdmin, UnknownError
from app.release.stage import Stage

RESCUE_SECONDS = 60.0
"""How long the replays before a rescue may take together; what is left then stays."""
READY_SECONDS = 40.0
"""How long a rehearsal may take to start."""
RENEW_SECONDS = 20.0
"""Between two notes that somebody still asks. Several may fail before one is so old that nobody seems to ask."""
LOOK_SECONDS = 0.5
HEALTH_SECONDS = 2.0

Tell = Callable[[str], None]


def ask(
    cluster: Cluster,
    restate: RestateAdmin,
    version: Version,
    chosen: Collection[Gate] = (),
    patience_seconds: float = PATIENCE_SECONDS,
) -> tuple[Checked, ...]:
    """Ask the gates about a version, for who wants to know. UnknownError if somebody else is asking."""
    with _alone(cluster, version):
        return _ask(cluster, restate, version, cluster.intent(), chosen, patience_seconds)


@contextmanager
def _alone(cluster: Cluster, version: Version) -> Iterator[None]:
    """Keep the release loop from ending the rehearsal meanwhile, and leave the note as it was."""
    stage, note = Stage(cluster), gate_notes.asking(version.image, time.time())
    before = stage.begin(version.name, note)
    if before is None:
        raise UnknownError(f"somebody else is asking {version.name} something; try again in a minute")
    try:
        with _renewing(stage, version, note):
            yield
    finally:
        stage.note(version.name, before or None)


@contextmanager
def _renewing(stage: Stage, version: Version, note: str) -> Iterator[None]:
    """Renew the note of who asks for as long as it does: the values may allow longer than one note lasts."""
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(stage, version, note, done), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()  # it writes nothing over what is noted next


def _renew(stage: Stage, version: Version, note: str, done: threading.Event) -> None:
    mine = {note}
    while not done.wait(RENEW_SECONDS):
        note = gate_notes.asking(version.image, time.time())
        mine.add(note)  # whether or not the answer arrives
        with suppress(ApiException, HTTPError):
            if not stage.renew(version.name, note, mine):
                return


def rehearsed(
    cluster: Cluster, restate: RestateAdmin, version: Version, invocations: Collection[str]
) -> Mapping[str, replay.Replayed] | None:
    """Replay some invocations against a version; None if it has no rehearsal. What has no journal yet is not named."""
    bounds = ReplayBounds(most=len(invocations))
    with _alone(cluster, version), rehearsing(cluster, version.name) as url:
        if url is None:
            return None
        _, works = replay.live(restate, bounds, invocations)
        return dict(_replayed(cluster, restate, version, url, works))


def _replayed(
    cluster: Cluster, restate: RestateAdmin, version: Version, url: str, works: Iterable[replay.Work]
) -> Iterator[tuple[str, replay.Replayed]]:
    """Replay each by itself: one journal that ends the rehearsal says nothing of the others, which wait for the next.

    They are left out where no next one comes.
    """
    end = time.monotonic() + RESCUE_SECONDS
    for work in works:
        try:
            left = ReplayBounds(seconds=end - time.monotonic())
            yield from ((each.id, answer) for each, answer in replay.replay(restate, url, [work], left))
        except (httpx.HTTPError, UnknownError):
            yield work.id, replay.Replayed(skipped=replay.NO_ANSWER)
            try:
                _wait(Stage(cluster), version.name, url)
            except UnknownError:
                return


def _ask(
    cluster: Cluster,
    restate: RestateAdmin,
    version: Version,
    intent: Intent,
    chosen: Collection[Gate],
    patience_seconds: float,
) -> tuple[Checked, ...]:
    return run(
        Asked(
            restate=restate,
            books=lambda: _books(Notebook(cluster)),
            rehearsing=lambda: rehearsing(cluster, version.name),
            uri=version.uri,
            accepts=intent.accepts.get(version.name, ()),
            on=intent.gates,
            bounds=intent.bounds,
            patience_seconds=patience_seconds,
        ),
        chosen,
    )


def pass_gates(cluster: Cluster, restate: RestateAdmin, version: Version, tell: Tell) -> None:
    """Ask the gates, and note what they say; the next plan goes by that. Nothing happens while somebody else asks."""
    stage, note = Stage(cluster), gate_notes.asking(version.image, time.time())
    intent = cluster.intent()
    if stage.begin(version.name, note) is None:
        return
    checked: tuple[Checked, ...] = ()
    try:
        with _renewing(stage, version, note):
            checked = _ask(cluster, restate, version, intent, (), PATIENCE_SECONDS)
    finally:
        terms = intent.terms(version.name)
        answer = gate_notes.answered(version.image, checked, time.time(), terms) if checked else None
        stage.note(version.name, answer)
    for line in as_lines(checked):
        tell(line)
    _remember(cluster, version.name, checked)


def _remember(cluster: Cluster, version: str, checked: Collection[Checked]) -> None:
    passed = all(check.passed for check in checked)
    findings = tuple(str(finding) for check in checked for finding in check.findings)
    untold = "; ".join(f"{check.gate}: {check.because}" for check in checked if check.outcome is Outcome.NOT_CHECKED)
    event = history.Event.CHECKED if passed else history.Event.REFUSED
    with suppress(AnchorGoneError, ApiException, HTTPError):  # a history that cannot be written stops nothing
        history.append(Notebook(cluster), history.Entry(event, version, "gates", untold, findings))


def _books(notebook: Notebook) -> str:
    addresses = notebook.ready("books")
    if not addresses:
        raise UnknownError("no bookkeeper is ready")
    return scrape(addresses[0], BOOKS_PORT)


@contextmanager
def rehearsing(cluster: Cluster, version: str) -> Iterator[str | None]:
    """Start the rehearsal of a version and end it afterwards; its URL, or None where it has none (an older chart)."""
    stage = Stage(cluster)
    url = stage.url(version)
    if url is None:
        yield None
        return
    stage.scale(version, 1)
    try:
        _wait(stage, version, url)
        yield url
    finally:
        stage.scale(version, 0)


def _wait(stage: Stage, version: str, url: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}health", timeout=HEALTH_SECONDS, trust_env=False).is_success:
                return
        if time.monotonic() > end:
            trouble = stage.trouble(version)
            raise UnknownError(f"the rehearsal of {version} does not start: {trouble or 'no answer at its port'}")
        time.sleep(LOOK_SECONDS)
        stage.scale(version, 1)  # the loop may have ended it, if it looked before it was noted that we ask
