"""Whatever a release and its versions are called, Kubernetes takes the objects, and no two of them are one."""

import re
from collections import Counter

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from helm_python import HelmError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.chart.rendered import KUBERNETES, ROOT, Object, helm, render

ALL_PARTS = (
    "--set=monitoring.serviceMonitor=true,monitoring.podMonitor=true,monitoring.rules=true",
    "--set=monitoring.ruleFiles=true,monitoring.dashboards=true",
    "--set=restate.replicas=3,restate.snapshots.destination=s3://a/b",
)
LOOK_LIKE_NO_TEXT = (
    "true",
    "null",
    "no",
    "y",
    "12",
    "007",
    "12e4567",
    "1e5",
    "0x1f",
    "0b1",
    "0o7",
    "2026-11-26",
    "nan",
)
"""Names that YAML takes for something else, where they are not quoted."""
LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LONGEST = 57
"""A Service's name has at most 63 characters, and a pod's begins with 58 of its Deployment's."""

keys = st.sampled_from(LOOK_LIKE_NO_TEXT) | st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
labels = st.sampled_from(LOOK_LIKE_NO_TEXT) | st.from_regex(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?", fullmatch=True)
releases = labels | st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20})?", fullmatch=True)
"""What Helm takes as the name of a release: at most 53 characters, with dots."""


def identity(found: Object) -> tuple[str, str]:
    return found["kind"], found["metadata"]["name"]


@settings(max_examples=12, deadline=None)
@given(key=keys, release=releases, namespace=labels)
@example(key="12e4567", release="y", namespace="12")
@example(key="2026-11-26", release="true", namespace="null")
@example(key="v" * 20, release="a-" * 26 + "a", namespace="shop")
def test_whatever_key_and_release_name_are_let_through_kubernetes_takes_the_objects(
    key: str, release: str, namespace: str
) -> None:
    values = (f'--set-json=current="{key}"', f'--set-json=versions={{"{key}": {{"image": {{"tag": "{key}"}}}}}}')
    try:
        objects = render(*values, name=release, namespace=namespace)
    except HelmError as refused:
        assert LABEL.fullmatch(release) is None, refused  # noqa: PT017, what is refused is the release's name
        assert "fullnameOverride" in str(refused)  # noqa: PT017
        return

    for found in objects:
        name = found["metadata"]["name"]
        assert found["kind"] != "Service" or LABEL.fullmatch(name), name
        assert len(name.removeprefix(f"{namespace}-")) <= LONGEST, name
        kubernetes_validate.validate(found, KUBERNETES[-1], strict=True)
    assert [one for one, times in Counter(map(identity, objects)).items() if times > 1] == []
    of_versions = [
        found["metadata"]["labels"]
        for found in objects
        if found["kind"] == "Deployment" and "betting/version" in found["metadata"]["labels"]
    ]
    assert sorted(of["app.kubernetes.io/component"] for of in of_versions) == ["rehearsal", "version"]
    assert {of["betting/version"] for of in of_versions} == {key}


def parts() -> list[str]:
    """What the objects of the chart, and those that we put beside it, have behind the release's name."""
    beside = [
        found
        for file in sorted((ROOT / "k8s" / "observability").glob("*.yaml"))
        for found in yaml.safe_load_all(file.read_text())
        if found and found.get("kind") not in (None, "Kustomization")
    ]
    version = r"betting-v1(-rehearsal)?|shop-.*"
    names = {found["metadata"]["name"] for found in (*render(*ALL_PARTS), *beside) if "metadata" in found}
    found = {name.removeprefix("betting-") for name in names if not re.fullmatch(version, name)}
    return sorted({re.sub("-[0-9a-f]{8}$", "", part) for part in found - {"betting"}})


def test_parts_are_found() -> None:
    assert {"books", "release", "restate", "restate-admin", "sandbox", "edge", "prometheus", "grafana"} <= set(parts())


@pytest.mark.parametrize("part", [part for part in parts() if len(part) <= 20])
def test_a_version_cannot_have_the_name_of_a_part(part: str) -> None:
    with pytest.raises(HelmError, match=rf"versions\.{part}: a part of the chart has this name"):
        helm(f"--set=versions.{part}.image.tag=a,current={part}")


def test_a_version_cannot_have_the_name_of_what_another_one_rehearses_on() -> None:
    with pytest.raises(HelmError, match=r"versions\.v1-rehearsal: what a version rehearses on is called so"):
        helm("--set=versions.v1-rehearsal.image.tag=a,current=v1-rehearsal")


def test_a_version_that_has_the_name_of_a_part_can_be_taken_out() -> None:
    assert helm("--set=versions.v1.image.tag=a", "--set=versions.books=null")


def names(release: str, *arguments: str) -> set[tuple[str, str]]:
    return set(map(identity, render(*arguments, name=release)))


def test_releases_that_share_their_beginning_share_no_name() -> None:
    one, other = (names(f"betting-production-europe-west-{number}") for number in (1, 2))

    assert len(one) == len(other) > 20
    assert not one & other


def test_a_name_that_needs_no_cut_is_the_releases_own() -> None:
    assert ("Deployment", f"{'b' * 26}-release") in names("b" * 26)


def test_a_release_may_keep_the_name_that_it_was_cut_to() -> None:
    kept = names("betting-production-europe-west-1", "--set=fullnameOverride=betting-production-europe")

    assert ("StatefulSet", "betting-production-europe-restate") in kept
