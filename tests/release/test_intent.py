"""Which version is wanted: the values', or an operator's choice."""

from app.release.cluster import Intent

INSTALLED = Intent("v2", {"v1": "betting:1", "v2": "betting:2"})


def test_the_values_say_what_is_wanted() -> None:
    assert INSTALLED.wanted == "v2"


def test_an_operator_may_choose_another_version() -> None:
    assert INSTALLED.choosing("v1").wanted == "v1"


def test_choosing_what_the_values_say_ends_the_choice() -> None:
    assert INSTALLED.choosing("v1").choosing("v2") == INSTALLED


def test_a_choice_outlives_an_upgrade_that_names_the_same_version() -> None:
    upgraded = Intent("v2", {**INSTALLED.images, "v3": "betting:3"}, INSTALLED.choosing("v1").override)

    assert upgraded.wanted == "v1"


def test_a_choice_ends_when_the_values_name_a_third_version() -> None:
    upgraded = Intent("v3", {**INSTALLED.images, "v3": "betting:3"}, INSTALLED.choosing("v1").override)

    assert upgraded.wanted == "v3"
