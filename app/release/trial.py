"""Before Restate gets another image: whether that can be pulled, and takes Restate's settings."""

import time
from typing import Protocol

PATIENCE_SECONDS = 15
"""How long one thing may be wrong: a registry may fail once, and Kubernetes tries again after ten seconds."""
POLL_SECONDS = 1


class NotStartedError(Exception):
    """The image was not started. The message says which, and why."""


class Trials(Protocol):
    """Where a pod of another image can be tried beside Restate."""

    def restate_images(self) -> frozenset[str]:
        """Return the images of Restate's pods."""

    def try_restate(self, pods: int) -> None:
        """Start one pod of the other image, or none."""

    def trial(self, image: str) -> tuple[bool, str]:
        """Return whether the pod of that image has started, and why not."""


def try_image(trials: Trials, image: str, deadline_seconds: float) -> bool:
    """Start another image once, beside the Restate that runs; whether that was needed.

    It is not where no Restate runs, or the same image does. Raises NotStartedError, and leaves everything as it was.
    """
    running = trials.restate_images()
    if not running or running == {image}:
        return False
    trials.try_restate(1)
    try:
        _wait(trials, image, deadline_seconds)
    finally:
        trials.try_restate(0)
    return True


def _wait(trials: Trials, image: str, deadline_seconds: float) -> None:
    began = well = time.monotonic()
    while True:
        started, trouble = trials.trial(image)
        if started:
            return
        now = time.monotonic()
        if not trouble:
            well = now
        if now - well > PATIENCE_SECONDS or now - began > deadline_seconds:
            why = trouble or f"it is not ready after {deadline_seconds:.0f} s"
            raise NotStartedError(f"restate.image {image} does not start: {why}; Restate runs on as it was")
        time.sleep(POLL_SECONDS)
