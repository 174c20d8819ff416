"""Another image of Restate is started once beside the one that runs, before that is touched."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from app.release import trial
from app.release.trial import NotStartedError, try_image

OLD, NEW = "restate:1", "restate:2"
PULLING = (False, "")
BACK_OFF = (False, "ImagePullBackOff: no such image")
STARTED = (True, "")


@dataclass
class Trials:
    """A namespace in which the other image fares as told, second by second, and then as in the last one."""

    fares: list[tuple[bool, str]]
    running: frozenset[str] = frozenset({OLD})
    pods: list[int] = field(default_factory=list)
    seconds: float = 0

    def restate_images(self) -> frozenset[str]:
        return self.running

    def try_restate(self, pods: int) -> None:
        self.pods.append(pods)

    def trial(self, image: str) -> tuple[bool, str]:
        assert (image, self.pods) == (NEW, [1])
        return self.fares.pop(0) if len(self.fares) > 1 else self.fares[0]

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds


def tried(monkeypatch: pytest.MonkeyPatch, trials: Trials, deadline_seconds: float = 100) -> bool:
    clock = SimpleNamespace(sleep=trials.pass_time, monotonic=lambda: trials.seconds)
    monkeypatch.setattr(trial, "time", clock)
    return try_image(trials, NEW, deadline_seconds)


@pytest.mark.parametrize("running", [frozenset[str](), frozenset({NEW})], ids=["there is none", "it runs already"])
def test_nothing_is_tried_where_nothing_can_be_lost(running: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials([BACK_OFF], running)

    assert tried(monkeypatch, trials) is False
    assert trials.pods == []


@pytest.mark.parametrize("running", [frozenset({OLD}), frozenset({OLD, NEW})], ids=["all are old", "half way"])
def test_another_image_is_started_once_and_ended(running: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials([PULLING] * 40 + [STARTED], running)

    assert tried(monkeypatch, trials) is True
    assert trials.pods == [1, 0]


def test_a_pull_may_fail_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials([PULLING, *[BACK_OFF] * 12, PULLING, PULLING, STARTED])

    assert tried(monkeypatch, trials) is True


def test_an_image_that_cannot_be_pulled_is_named_with_the_reason_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials([PULLING, BACK_OFF])

    with pytest.raises(
        NotStartedError, match=r"restate\.image restate:2 does not start: ImagePullBackOff: no such image"
    ):
        tried(monkeypatch, trials)

    assert trials.seconds < 20
    assert trials.pods == [1, 0]


def test_an_image_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials([PULLING])

    with pytest.raises(NotStartedError, match="it is not ready after 100 s; Restate runs on as it was"):
        tried(monkeypatch, trials)

    assert trials.pods == [1, 0]
