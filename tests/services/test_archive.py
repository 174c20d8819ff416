"""What left a player's document stays recognised, by whichever version it was archived, with and without replay."""

import json
from collections.abc import Mapping
from uuid import uuid4

from pydantic import BaseModel

from app.domain.archive import KEPT_PAGES, MAX_PAGES, ArchiveIndex, Bucket, Operations, hash_of, name_of
from app.domain.archive_pages import KEPT_ENDED, MAX_ENDED, ArchivePage
from app.domain.deposits import EndDeposit, credit_deposit, reserve_deposit
from app.domain.high_water import with_high_water
from app.domain.player import HighWaterMark, Player
from app.domain.policy import Policy
from tests.helpers.bets import Customer, Game
from tests.helpers.deposits import SEED, deposit
from tests.running import System
from tests.strategies import START, player, reserve


class Stored:
    """What Restate keeps for a player, as an operator reads and changes it."""

    def __init__(self, betting: System, user_id: str) -> None:
        self.betting = betting
        self.user_id = user_id

    def plant(self, service: str, key: str, state: Mapping[str, BaseModel]) -> None:
        """Put state in the place of all that an object has."""
        self.betting.plant(service, key, {name: model.model_dump_json().encode() for name, model in state.items()})

    def plant_page(self, page: int, content: ArchivePage) -> None:
        self.plant("StatementService", f"{self.user_id}:archive-{page}", {"page": content})

    def plant_player(self, document: Player, index: ArchiveIndex) -> None:
        self.plant("PlayerService", self.user_id, {"player": document, "archive": index})

    @property
    def player(self) -> Player:
        return Player.model_validate_json(self.betting.state("PlayerService", self.user_id)["player"])

    @property
    def index(self) -> ArchiveIndex:
        return ArchiveIndex.model_validate_json(self.betting.state("PlayerService", self.user_id)["archive"])

    def bucket(self, hashed: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = json.loads(
            self.betting.state("ArchiveBucket", f"{self.user_id}:{hashed[0]}")["bucket"]
        )["pages"]
        return found


BETS = MAX_ENDED - 1
"""With the deposit that paid for them, all that a document keeps."""


def with_deposits(user_id: str, count: int) -> Player:
    """A player with so many deposits of 1, each credited."""
    document, policy = player(user_id), Policy(default_weekly_deposit_limit=10**9)
    for number in range(count):
        name = f"{user_id}-{number}"
        asked = reserve(name, 1, wallet_id=SEED["walletId"], email=SEED["email"])
        document = reserve_deposit(document, asked, policy).player
        document = credit_deposit(document, EndDeposit(deposit_id=name, now=START)).player
    return document


def old_pages(count: int) -> ArchiveIndex:
    """The index of so many pages, as it was kept before there were buckets."""
    return ArchiveIndex(pages=["".join(hash_of(f"bets/{uuid4().hex}") for _ in range(50)) for _ in range(count)])


def test_what_an_earlier_version_archived_is_recognised_before_and_after_it_has_moved(betting: System) -> None:
    user_id = f"u-{uuid4().hex}"
    stored, before = Stored(betting, user_id), with_deposits(user_id, MAX_ENDED + 2)
    oldest, second, *others = before.deposits
    page = ArchivePage(deposits={name: before.deposits[name] for name in (oldest, second)})
    stored.plant_page(1, page)
    index = ArchiveIndex(pages=ArchiveIndex().with_page(page.names).pages + old_pages(MAX_PAGES).pages)
    kept = before.changed(has_archive=True, deposits={name: before.deposits[name] for name in others})
    stored.plant_player(kept, index)
    moved, already_there = hash_of(name_of(Operations.DEPOSITS, oldest)), "moved-before"
    stored.plant("ArchiveBucket", f"{user_id}:{moved[0]}", {"bucket": Bucket(pages={already_there: [1]})})
    request = {**SEED, "userId": user_id, "amount": 1}

    assert deposit(betting, {**request, "depositId": oldest})["balance"]["cash"] == 1
    assert stored.index == index
    assert deposit(betting, {**request, "depositId": f"{user_id}-new"})["balance"]["cash"] == MAX_ENDED + 3

    assert stored.player.deposits.keys() == {*others[1 - KEPT_ENDED :], f"{user_id}-new"}
    assert [bool(page) for page in stored.index.pages] == [False] * (MAX_PAGES + 2 - KEPT_PAGES) + [True] * KEPT_PAGES
    for number, archived in enumerate([oldest, second, others[0]], 1):
        assert deposit(betting, {**request, "depositId": archived})["balance"]["cash"] == number
    assert deposit(betting, {**request, "depositId": oldest, "amount": 2}, 409)["metadata"]["reason"] == "id_reused"
    assert stored.bucket(moved).items() >= {moved: [1], already_there: [1]}.items()
    assert betting.charges(oldest) == []


def test_another_id_with_the_same_hash_hides_no_archived_deposit(betting: System) -> None:
    user_id = f"u-{uuid4().hex}"
    stored, before = Stored(betting, user_id), with_deposits(user_id, 1)
    page = ArchivePage(deposits=before.deposits)
    stored.plant_page(1, page)
    stored.plant_page(2, ArchivePage(deposits={"other": before.deposits[f"{user_id}-0"]}))
    twice = ArchiveIndex().with_page(page.names).with_page(page.names)
    stored.plant_player(before.changed(has_archive=True, deposits={}), twice)

    request = {**SEED, "userId": user_id, "amount": 1, "depositId": f"{user_id}-0"}
    assert deposit(betting, request)["balance"]["cash"] == 1
    assert betting.charges(f"{user_id}-0") == []


def test_a_bet_id_above_all_others_is_not_looked_for_and_every_other_one_is(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    stored = Stored(betting, customer.user_id)
    old = customer.bets(game.home(), stake=100, betId="0-old")
    game.ends("lost")
    before = stored.player
    page = ArchivePage(bets=before.bets)
    stored.plant_page(1, page)
    lost = ArchiveIndex(pages=["", *ArchiveIndex().with_page(page.names).pages])
    kept = before.changed(has_archive=True, bets={})
    open_game = Game(betting)

    # Whoever looks into this archive fails: a page has been moved, and there is no filter.
    stored.plant_player(with_high_water(before, before, kept), lost)
    placed = customer.bets(open_game.home(), stake=100, betId="1-new")
    assert customer.bets(open_game.home(), stake=100, betId="1-new") == placed
    assert stored.player.high_water == HighWaterMark(bet_id="1-new", movements=before.movements + 1)

    # An earlier version placed a bet since, and archived it: nothing above the mark passes for new any more.
    marked = stored.player
    foreign = marked.changed(high_water=HighWaterMark(bet_id="0-mark", movements=marked.movements - 1))
    stored.plant_page(2, ArchivePage(bets={"1-new": marked.bets["1-new"]}))
    found = ArchiveIndex().with_page(page.names).with_page(["bets/1-new"])
    stored.plant_player(foreign.changed(bets={}), found)
    assert customer.bets(open_game.home(), stake=100, betId="0-old", status=409)["metadata"]["reason"] == "id_reused"
    assert customer.bets(open_game.home(), stake=200, betId="1-new", status=409)["metadata"]["reason"] == "id_reused"
    assert customer.bets(open_game.home(), stake=100, betId="1-new") == placed
    assert customer.bet(old)["status"] == "settled"
    assert customer.money == (10_000 - 200, 100)


def archive_bets(stored: Stored, pages: list[list[str]]) -> None:
    """Take bets to the first archive pages, and put so much after them that the next bet to end moves them to buckets.

    They are so many that those that a correction brings back leave the document at once.
    """
    document, index = stored.player, ArchiveIndex()
    for number, page in enumerate(pages, 1):
        content = ArchivePage(bets={bet_id: document.bets[bet_id] for bet_id in page})
        stored.plant_page(number, content)
        index = index.with_page(content.names)
    index = ArchiveIndex(pages=index.pages + old_pages(MAX_PAGES).pages)
    other = document.bets[pages[0][0]]
    kept = {f"b-{uuid4().hex}": other for _ in range(MAX_ENDED + 5)}  # an operator can plant no more than 64 KiB
    stored.plant_player(document.changed(has_archive=True, bets=kept), index)


def test_a_correction_reaches_archived_bets_wherever_they_are(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    stored = Stored(betting, customer.user_id)
    placed = [customer.bets(game.home(), stake=100) for _ in range(BETS)]
    game.ends("won")
    assert customer.money == (10_000 + BETS * 150, 0)
    ids = [bet["betId"] for bet in placed]
    archive_bets(stored, [ids[:10], ids[10:20], ids[20:]])
    other = Game(betting)
    customer.bets(other.home(), stake=100)
    other.ends("lost")
    assert stored.index.pages[:3] == ["", "", ""]

    assert game.ends("lost", version=2) == {
        "bets": BETS,
        "settled": BETS,
        "paid": -BETS * 250,
        "done": True,
    }

    assert customer.money == (10_000 - BETS * 100 - 100, 0)
    assert not stored.player.bets.keys() & set(ids)
    assert [customer.bet(bet)["returned"] for bet in placed] == [0] * BETS
    assert game.ends("won", version=3)["paid"] == BETS * 250
    assert [customer.bets(game.home(), stake=100, betId=bet_id) for bet_id in ids] == placed
