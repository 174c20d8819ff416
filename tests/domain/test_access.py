"""Who may call what."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import (
    GRANTED,
    RECEIVED_HEADER,
    USER_HEADER,
    WITHOUT_TOKEN,
    Access,
    Actor,
    Caller,
    Owner,
    Role,
    acting,
    may,
    received_at,
    refuse_caller,
    refuse_page,
    refuse_stranger,
)
from app.domain.refusals import Refusal, Refused

ROLES = st.sampled_from(sorted(GRANTED))
ACCESSES = st.builds(
    Access,
    st.lists(ROLES, unique=True, min_size=1).map(tuple),
    st.none() | st.sampled_from(Owner),
)
CALLERS = st.builds(Caller, user=st.sampled_from(["ann", "ben"]), roles=st.lists(ROLES, unique=True).map(tuple))

ANN = Caller(user="ann")
TOM = Caller(user="tom", roles=(Role.TRADER,))


def reason(refused: Refused | None) -> Refusal | None:
    return refused.reason if refused else None


@pytest.mark.parametrize(
    ("access", "caller", "required", "expected"),
    [
        (may(Role.ANYONE), None, True, None),
        (may(Role.PROVIDER), None, True, None),
        (may(Role.TRADER), None, True, Refusal.UNAUTHENTICATED),
        (may(owner=Owner.KEY), None, True, Refusal.UNAUTHENTICATED),
        (may(Role.TRADER), None, False, None),
        (may(Role.TRADER), TOM, True, None),
        (may(Role.PAYMENTS), TOM, True, Refusal.ROLE_NEEDED),
        (may(Role.PAYMENTS), TOM, False, Refusal.ROLE_NEEDED),
        (may(Role.PAYMENTS), ANN, True, Refusal.ROLE_NEEDED),
        (may(owner=Owner.DOCUMENT), ANN, True, None),
    ],
)
def test_who_may_call_a_handler_at_all(
    access: Access, caller: Caller | None, required: bool, expected: Refusal | None
) -> None:
    assert reason(refuse_caller(access, caller, required=required)) == expected


@pytest.mark.parametrize(
    ("origin", "site", "refused"),
    [
        (None, None, False),
        (None, "none", False),
        (None, "cross-site", True),
        (None, "same-origin", True),  # Restate serves no pages: another site's name leads here
        ("http://localhost", "same-site", False),
        ("http://localhost:9070", None, False),
        ("https://127.0.0.1:8443", None, False),
        ("http://[::1]:3000", None, False),
        ("http://localhost:9070", "cross-site", False),
        ("https://evil.example", None, True),
        ("https://evil.example", "none", True),
        ("http://localhost.evil.example", None, True),
        ("http://localhost@evil.example", None, True),
        ("http://127.0.0.1.evil.example", None, True),
        ("http://localhost:9070\n", None, True),
        ("file://localhost", None, True),
        ("http://[", None, True),
        ("null", None, True),
        ("", None, True),
    ],
)
def test_pages_of_this_machine_alone_call_without_a_token(origin: str | None, site: str | None, refused: bool) -> None:
    assert reason(refuse_page(origin, site)) == (Refusal.UNAUTHENTICATED if refused else None)


@pytest.mark.parametrize(
    ("access", "caller", "owner_id", "expected"),
    [
        (may(owner=Owner.KEY), ANN, "ann", None),
        (may(owner=Owner.KEY), ANN, "ben", Refusal.NOT_YOURS),
        (may(owner=Owner.DOCUMENT), ANN, None, Refusal.NOT_YOURS),
        (may(Role.SUPPORT, owner=Owner.KEY), TOM, "ben", Refusal.NOT_YOURS),
        (may(Role.TRADER, owner=Owner.KEY), TOM, "ben", None),
        (may(Role.TRADER, owner=Owner.DOCUMENT), TOM, None, None),
        (may(owner=Owner.KEY), None, "ben", None),
    ],
)
def test_a_player_gets_what_is_their_own(
    access: Access, caller: Caller | None, owner_id: str | None, expected: Refusal | None
) -> None:
    assert reason(refuse_stranger(access, caller, owner_id)) == expected


@given(access=ACCESSES, caller=CALLERS, owner_id=st.none() | st.sampled_from(["ann", "ben"]))
def test_who_is_let_in_holds_a_role_or_owns_it(access: Access, caller: Caller, owner_id: str | None) -> None:
    if refuse_caller(access, caller, required=True) or refuse_stranger(access, caller, owner_id):
        return

    assert set(access.roles) & set(caller.roles) or (access.owner is not None and caller.user == owner_id)


@given(access=ACCESSES, caller=CALLERS, owner_id=st.sampled_from(["ann", "ben"]))
def test_whether_an_identity_is_required_makes_no_difference_to_who_has_one(
    access: Access, caller: Caller, owner_id: str
) -> None:
    assert refuse_caller(access, caller, required=True) == refuse_caller(access, caller, required=False)


@given(access=ACCESSES, caller=CALLERS)
def test_somebody_acts_in_a_role_of_the_handler_that_they_hold_or_as_a_player(access: Access, caller: Caller) -> None:
    actor = acting(access, caller)

    assert actor.user == caller.user
    assert actor.role in {*access.roles} & {*caller.roles} or actor == Actor(user=caller.user, role=Role.PLAYER)


def test_a_token_grants_no_role_that_stands_for_having_none() -> None:
    assert GRANTED | WITHOUT_TOKEN | {Role.PLAYER} == set(Role)
    assert not GRANTED & (WITHOUT_TOKEN | {Role.PLAYER})


@pytest.mark.parametrize(
    ("told", "caller", "at"),
    [
        ("1767225600123", {USER_HEADER: "ann"}, datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)),
        ("1767225600123", {}, None),
        ("1767225600123", {USER_HEADER: "a/b"}, None),
        ("1767225600.123", {USER_HEADER: "ann"}, None),
        ("17672256001234", {USER_HEADER: "ann"}, None),
        ("-176722560012", {USER_HEADER: "ann"}, None),
        ("١٧٦٧٢٢٥٦٠٠١٢٣", {USER_HEADER: "ann"}, None),  # digits, but not those of a header
        ("", {USER_HEADER: "ann"}, None),
    ],
)
def test_the_door_is_believed_about_the_time_where_it_names_the_caller(
    told: str, caller: dict[str, str], at: datetime | None
) -> None:
    assert received_at({RECEIVED_HEADER: told, **caller}) == at
