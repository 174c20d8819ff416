"""A developer's Restate asks for no token, and is still closed to the pages that the developer visits."""

import pytest

from tests.running import System

OPEN = {"name": "A - B", "selections": [{"selectionId": "home", "name": "A", "price": "2.00"}], "maxStake": 100}


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost.evil.example"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_and_reads_nothing(system: System, sent: dict[str, str]) -> None:
    read = system.call("PlayerService", "getAccount", None, "read-by-a-page", sent)
    opened = system.call("MarketService", "open", OPEN, "opened-by-a-page", sent)

    for answer in (read, opened):
        assert (answer.status_code, answer.json()["metadata"]["reason"]) == (401, "unauthenticated")
    assert system.state("MarketService", "opened-by-a-page") == {}


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "http://localhost:9070", "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
def test_a_page_of_this_machine_may_call(system: System, sent: dict[str, str]) -> None:
    assert system.call("PlayerService", "getAccount", None, "asked-from-here", sent).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_what_a_page_may_send_unasked_is_no_request(system: System, kind: str) -> None:
    content = b'{"name":"A","selections":[],"maxStake":100}'

    answer = system.post_raw("MarketService/sent-unasked/open", content, {"content-type": kind})

    assert answer.status_code == 400
    assert system.state("MarketService", "sent-unasked") == {}
