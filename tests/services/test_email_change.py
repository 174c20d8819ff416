"""PlayerService/changeEmail and confirmEmail."""

import re
from uuid import uuid4

from tests.helpers.deposits import deposit, request
from tests.running import System


def test_mail_goes_to_a_new_address_only_after_its_code_came_back(betting: System) -> None:
    old, new = (f"{uuid4().hex}@example.com" for _ in range(2))
    body = {**request(), "email": old}
    user = str(body["userId"])
    deposit(betting, body)

    asked = betting.call("PlayerService", "changeEmail", {"email": new}, key=user)
    assert asked.json()["email"] == new
    [mail] = betting.eventually(lambda: betting.mails(new))
    betting.eventually(lambda: "Your e-mail address is about to change" in {m["subject"] for m in betting.mails(old)})
    found = re.search(r"[A-Z0-9]{8,}", mail["text"])
    assert found is not None
    code = found[0]
    assert code not in asked.text + betting.log()

    wrong = betting.call("PlayerService", "confirmEmail", {"code": "WRONGCODE"}, key=user)
    assert (wrong.status_code, wrong.json()["metadata"]["reason"]) == (403, "wrong_code")
    assert betting.call("PlayerService", "confirmEmail", {"code": code}, key=user).json() == {"email": new}

    betting.call("PlayerService", "takeBreak", {"days": 1}, key=user).raise_for_status()
    assert betting.eventually(lambda: len(betting.mails(new)) == 2)


def test_five_wrong_codes_end_a_change(betting: System) -> None:
    user = uuid4().hex
    betting.call("PlayerService", "changeEmail", {"email": f"{user}@example.com"}, key=user).raise_for_status()

    answers = [betting.call("PlayerService", "confirmEmail", {"code": "WRONGCODE"}, key=user) for _ in range(6)]

    reasons = [answer.json()["metadata"]["reason"] for answer in answers]
    assert reasons == ["wrong_code"] * 5 + ["no_pending_change"]


def test_a_stranger_is_not_flooded_with_codes(betting: System) -> None:
    user = uuid4().hex
    body = {"email": f"{user}@example.com"}

    answers = [betting.call("PlayerService", "changeEmail", body, key=user) for _ in range(8)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [422] * 3
    assert answers[-1].json()["metadata"]["reason"] == "too_many_codes"
    betting.eventually(lambda: len(betting.mails(body["email"])) == 5)
