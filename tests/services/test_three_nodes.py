"""The gates over three real nodes of Restate that sign their requests, asked at the admin address of one of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from app.release.gates import gates, replay
from app.release.gates.bounds import Bounds, ReplayBounds, StateBounds
from app.release.gates.findings import Checked, Gate, Outcome
from app.release.gates.gates import Asked
from app.release.numbers import read_books
from app.release.restate_admin import RestateAdmin, UnknownError
from tests.helpers.rehearsing import rehearsing
from tests.helpers.three_nodes import PARTITIONS, Cluster, Node, three_nodes
from tests.helpers.waiting import eventually

PLAYERS = 18
BOUNDS = Bounds(StateBounds(per_service=500), ReplayBounds(per_handler=100))
"""Wide enough for all that there is: then a document or a journal that is not looked at was not seen."""
RULES = {"BETTING_REVIEW_THRESHOLD": "5000", "BETTING_REVIEW_TIMEOUT_SECONDS": "600"}
PARTITION = f"select distinct partition_key / (18446744073709551615 / {PARTITIONS}) as partition from state"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Players who came in at each of the nodes, each with a deposit, a bet, and a withdrawal in review."""
    with three_nodes(tmp_path_factory.mktemp("nodes"), RULES) as cluster:
        selection = {"selectionId": "home", "name": "Home", "price": "2.50"}
        cluster.call(cluster.nodes[0], "MarketService/m-1/open", {"name": "A game", "selections": [selection]})
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda number: come_in(cluster, number), range(PLAYERS)))
        cluster.keep_books()
        eventually(lambda: looked(cluster))
        eventually(lambda: in_flight(cluster.nodes[0]) == PLAYERS)
        yield cluster


def looked(cluster: Cluster) -> bool:
    try:
        return read_books(cluster.books()) is not None
    except UnknownError:  # it starts
        return False


def come_in(cluster: Cluster, number: int) -> None:
    node, who = cluster.nodes[number % len(cluster.nodes)], f"u-{number}"
    of = {"walletId": "w-1", "userId": who}
    paid = {"email": f"{who}@example.com", "depositId": f"d-{number}", "amount": 9_000, "paymentMethod": "creditCard"}
    cluster.call(node, "PaymentService/deposit", of | paid)
    leg = {"marketId": "m-1", "selectionId": "home", "price": "2.50"}
    bet = {"betId": f"b-{number}", "walletId": "w-1", "stake": 1_000, "legs": [leg]}
    assert cluster.call(node, f"PlayerService/{who}/placeBet", bet)["status"] == "accepted"
    order = {"amount": 6_000, "destination": "bank", "withdrawalId": f"x-{number}"}
    assert cluster.call(node, "PaymentService/withdraw", of | order)["status"] == "inReview"


def in_flight(node: Node) -> int:
    with RestateAdmin(node.admin) as restate:
        return replay.live(restate, BOUNDS.replay)[0]


def asked(cluster: Cluster, node: Node, url: str) -> dict[Gate, Checked]:
    with RestateAdmin(node.admin) as restate:
        rehearsal = nullcontext(url)
        asking = Asked(restate, cluster.books, lambda: rehearsal, url, bounds=BOUNDS, patience_seconds=0)
        return {checked.gate: checked for checked in gates.run(asking)}


def count(node: Node, sql: str) -> int:
    with RestateAdmin(node.admin) as restate:
        return len(restate.query(sql))


def documents(node: Node) -> int:
    return count(node, "select key from state")


def test_each_gate_sees_what_all_nodes_keep_whichever_is_asked(cluster: Cluster) -> None:
    led = [node.leads() for node in cluster.nodes]
    kept = documents(cluster.nodes[0])

    with rehearsing("none", RULES) as url:
        answers = [asked(cluster, node, url) for node in cluster.nodes]

    assert sum(led) == PARTITIONS
    assert max(led) < PARTITIONS, "no node leads all, so each has to ask others"
    assert count(cluster.nodes[0], "select key from state where service_name = 'PlayerService'") == PLAYERS
    for told in answers:
        assert {gate: (each.outcome, each.because) for gate, each in told.items()} == dict.fromkeys(
            Gate, (Outcome.PASSED, "")
        )
        assert (told[Gate.REPLAY].looked_at, told[Gate.REPLAY].skipped) == (PLAYERS, {})
        assert (told[Gate.STATE].looked_at, told[Gate.STATE].skipped) == (kept, {})


def test_a_candidate_that_takes_other_steps_is_found_for_the_work_of_every_node(cluster: Cluster) -> None:
    node = cluster.nodes[0]

    with rehearsing("another step", RULES) as url, RestateAdmin(node.admin) as restate:
        _, sample = replay.live(restate, BOUNDS.replay)
        answers = dict(replay.replay(restate, url, sample, BOUNDS.replay))
        told = asked(cluster, node, url)

    assert len(answers) == PLAYERS
    assert all("takes other steps" in answer.problem for answer in answers.values())
    assert told[Gate.REPLAY].outcome is Outcome.FAILED
    assert [told[gate].outcome for gate in (Gate.BOOKS, Gate.CONTRACT, Gate.STATE)] == [Outcome.PASSED] * 3
    assert not cluster.payouts()


def test_a_gate_says_that_it_does_not_know_rather_than_tell_what_two_of_three_nodes_keep(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    lost = max(cluster.nodes[1:], key=Node.leads)
    whole = (PLAYERS, documents(node))
    assert lost.leads(), "what it leads is to be missed"

    with rehearsing("none", RULES) as url:

        def complete() -> bool:
            """Whether the gates answer; if they do, it is about everything."""
            told = asked(cluster, node, url)
            seen = tuple(told[gate] for gate in (Gate.REPLAY, Gate.STATE))
            if any(each.outcome is Outcome.NOT_CHECKED for each in told.values()):
                return False
            assert all(each.passed for each in told.values()), told
            with_nothing_left_out = [each.looked_at for each in seen], [each.skipped for each in seen]
            assert with_nothing_left_out == ([PLAYERS, whole[1]], [{}, {}])
            return True

        lost.kill()
        with pytest.raises(UnknownError):
            documents(node)
        eventually(complete)
        cluster.restart(lost)
        eventually(lambda: lost.leads() and complete())

        assert eventually(lambda: told_by(lost) == whole)
        assert {each.outcome for each in asked(cluster, lost, url).values()} == {Outcome.PASSED}


def told_by(node: Node) -> tuple[int, int] | None:
    try:
        return in_flight(node), documents(node)
    except UnknownError:
        return None
