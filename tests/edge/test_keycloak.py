"""Keycloak's realm for a first try: it has the roles that we know, and a token of its client is for us."""

import json
from pathlib import Path

from app.domain.access import GRANTED, Role

REALM = json.loads((Path(__file__).parents[2] / "k8s" / "keycloak" / "realm.json").read_text())


def test_the_realm_has_the_roles_that_a_token_can_name_but_our_own() -> None:
    assert {role["name"] for role in REALM["roles"]["realm"]} == GRANTED - {Role.BOOKKEEPER}


def test_the_users_hold_roles_that_are_there() -> None:
    roles = {role["name"] for role in REALM["roles"]["realm"]}

    assert {role for user in REALM["users"] for role in user.get("realmRoles", [])} <= roles


def test_a_token_of_the_client_is_for_us() -> None:
    [client] = REALM["clients"]
    [mapper] = client["protocolMappers"]

    assert mapper["config"]["included.custom.audience"] == "betting"
    assert mapper["config"]["access.token.claim"] == "true"
