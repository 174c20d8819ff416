"""The high-water mark of bet ids: what it says was never used was never used, whichever version placed the bets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import archive_pages
from app.domain.archive import Operations
from app.domain.archive_pages import archive_ended
from app.domain.bets import ApplyResult, PlaceBet, accept_bet, apply_result, hold_stake
from app.domain.deposits import EndDeposit, decline_deposit, reserve_deposit
from app.domain.high_water import may_be_archived, with_high_water
from app.domain.odds import Price
from app.domain.player import HighWaterMark, Player
from app.domain.policy import Policy
from app.domain.statement import without_full_pages
from tests.strategies import START, outcome, reserve, rich

POLICY = Policy(default_weekly_deposit_limit=10**12)
IDS = [first + second for first in "AZaz09" for second in ["", "-", "0", "z"]]
bet_ids = st.sampled_from(IDS)


class History:
    """A player's document as versions with and without the mark store it in turn, and every bet id that was used."""

    def __init__(self) -> None:
        self.document = rich(10**9)
        self.used: set[str] = set()
        self.archived: dict[str, object] = {}
        self.declined = 0

    def place(self, bet_id: str, marked: bool = True) -> None:
        """Place a bet if its id is new, as a handler does: what the archive has of it is looked up before."""
        if bet_id in self.used:
            return
        leg = {"marketId": "m", "selectionId": "home", "price": "2.00"}
        request = PlaceBet.model_validate({"betId": bet_id, "walletId": "w-1", "stake": 10, "legs": [leg]})
        held = hold_stake(self.document, request, START, POLICY).player
        assert held is not self.document
        self.used.add(bet_id)
        self.commit(accept_bet(held, bet_id, {"m": Price.of("2.00")}).player, marked)

    def end(self, bet_id: str, marked: bool = True) -> None:
        """Settle a bet that is still in the document as lost."""
        lost = ApplyResult(market_id="m", version=1, outcomes={"home": outcome("lost")}, bet_ids=[bet_id], now=START)
        if bet_id in self.document.bets:
            self.commit(apply_result(self.document, lost).player, marked)

    def decline(self, marked: bool = True) -> None:
        """Decline a deposit: no money moves, and still something has ended that can go to the archive."""
        self.declined += 1
        name = f"d-{self.declined}"
        reserved = reserve_deposit(self.document, reserve(name, 1), POLICY).player
        self.commit(decline_deposit(reserved, EndDeposit(deposit_id=name, now=START)).player, marked)

    def commit(self, after: Player, marked: bool) -> None:
        kept, page = archive_ended(without_full_pages(after))
        self.archived |= {} if page is None else page.bets
        self.document = with_high_water(self.document, after, kept) if marked else kept

    def asked(self, *ids: str) -> list[str]:
        return may_be_archived(self.document, Operations.BETS, ids)


@pytest.fixture(autouse=True)
def small_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_pages, "MAX_ENDED", 2)
    monkeypatch.setattr(archive_pages, "KEPT_ENDED", 1)


actions = st.sampled_from(["place and end", "place and end", "place", "end", "decline"])
turns = st.lists(st.tuples(st.booleans(), st.lists(st.tuples(actions, bet_ids), max_size=10)), max_size=4)


@given(turns)
def test_no_id_that_was_archived_passes_for_new(turns: list[tuple[bool, list[tuple[str, str]]]]) -> None:
    history = History()
    for marked, action, bet_id in ((marked, *step) for marked, steps in turns for step in steps):
        if action.startswith("place"):
            history.place(bet_id, marked)
        if action.endswith("end"):
            history.end(bet_id, marked)
        if action == "decline":
            history.decline(marked)

        assert set(history.asked(*IDS)) >= history.archived.keys()
        assert history.used == history.archived.keys() | history.document.bets.keys()


@given(st.lists(bet_ids, unique=True))
def test_ids_above_all_others_are_never_looked_for(ids: list[str]) -> None:
    history = History()
    for bet_id in sorted(ids):
        assert history.asked(bet_id) == []
        history.place(bet_id)
        history.end(bet_id)


def archived_by(marked: bool) -> History:
    """A player who has archived bets with ids up to 5."""
    history = History()
    for number in range(1, 6):
        history.place(str(number), marked)
        history.end(str(number), marked)
    assert history.archived
    return history


def test_an_id_between_others_is_looked_for() -> None:
    history = archived_by(marked=True)

    assert history.asked("3-new", "5", "6", "1") == ["3-new", "1"]
    assert history.asked("6") == []


def test_an_archive_of_an_earlier_version_has_no_mark_for_ever() -> None:
    history = archived_by(marked=False)
    history.place("7")

    assert history.document.high_water is None
    assert history.asked("8") == ["8"]


def test_a_bet_that_an_earlier_version_placed_since_spoils_the_mark() -> None:
    history = archived_by(marked=True)
    for number in ("7", "8", "9"):
        history.place(number, marked=False)
        history.end(number, marked=False)
    assert history.document.high_water == HighWaterMark(bet_id="5", movements=11)

    assert history.asked("8", "z") == ["8", "z"]
    history.place("z")
    assert history.document.high_water is None
    assert history.asked("8", "zz") == ["8", "zz"]


def test_what_an_earlier_version_changes_without_a_bet_spoils_nothing() -> None:
    history = archived_by(marked=True)
    history.place("6")
    history.decline(marked=False)
    history.decline(marked=False)

    assert history.asked("1", "7") == ["1"]


def test_before_anything_is_archived_there_is_no_mark_and_nothing_is_looked_for() -> None:
    history = History()
    history.place("5")

    assert (history.document.high_water, history.asked("1")) == (None, [])


def test_only_bets_have_a_mark() -> None:
    history = archived_by(marked=True)

    for kind in (Operations.DEPOSITS, Operations.WITHDRAWALS):
        assert may_be_archived(history.document, kind, ["zz"]) == ["zz"]
