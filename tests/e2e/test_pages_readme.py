"""What the README tells about Kubernetes, typed as it stands there, in a namespace of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.console import Terminal, marked, reader_of_a_page
from tests.e2e.running import run

pytestmark = pytest.mark.e2e

NAMESPACE = "readme"


@pytest.fixture
def typing(tmp_path: Path) -> Iterator[Terminal]:
    with reader_of_a_page(NAMESPACE, tmp_path) as shell:
        run("kubectl", "create", "namespace", NAMESPACE)
        yield shell


def test_12_the_readme_tells_what_happens(typing: Terminal) -> None:
    for example in marked("README.md", "test_12_the_readme_tells_what_happens"):
        typing.follow(example)
