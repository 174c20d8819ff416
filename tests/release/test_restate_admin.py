"""What Restate's admin API really does, against a real server."""

from collections.abc import Callable, Collection

import httpx
import pytest

from app.release.plan import Deployment, Restate
from app.release.restate_admin import Holding, RefusedError, RestateAdmin, UnknownError
from app.release.watching import Troubled
from tests.helpers.waiting import eventually, is_unknown_to_restate

Serve = Callable[[str], str]
SERVICES = frozenset({"Till", "Greeter"})


@pytest.fixture
def call(restate: tuple[str, str]) -> Callable[[str], httpx.Response]:
    """Calls as soon as the ingress knows the service: it hears of one a moment after the admin API has answered."""

    def answered(path: str) -> httpx.Response | None:
        answer = httpx.post(f"{restate[0]}/{path}", timeout=30)
        return None if is_unknown_to_restate(answer) else answer

    def call(path: str) -> httpx.Response:
        answer = eventually(lambda: answered(path))
        assert answer is not None
        return answer

    return call


def test_what_another_release_loop_has_deregistered_is_no_error(admin: RestateAdmin, serve: Serve) -> None:
    uri = serve("v1")
    admin.register(uri, again=False)
    deployment = known(uri, admin.observe())

    for _ in range(2):
        admin.deregister(deployment.id)

    assert deployment not in admin.observe().deployments


def known(uri: str, seen: Restate) -> Deployment:
    return next(deployment for deployment in seen.deployments if deployment.uri == uri)


def held(admin: RestateAdmin, deployment: Deployment, status: str) -> list[Holding]:
    routes = frozenset(s for s, target in admin.observe().routes.items() if target == deployment.id)
    return [holding for holding in admin.holding(deployment, routes) if holding.status == status]


def test_registering_a_version_routes_all_its_services_to_it(admin: RestateAdmin, serve: Serve) -> None:
    uri = serve("v1")

    admin.register(uri, again=False)

    seen = admin.observe()
    assert known(uri, seen).services == SERVICES
    assert seen.routes == dict.fromkeys(SERVICES, known(uri, seen).id)


def test_registering_an_old_version_again_rolls_back(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    old, new = serve("v1"), serve("v2")
    admin.register(old, again=False)
    admin.register(new, again=False)
    eventually(lambda: call("Greeter/greet").json() == "v2")

    admin.register(old, again=True)

    eventually(lambda: call("Greeter/greet").json() == "v1")
    seen = admin.observe()
    assert set(seen.routes.values()) == {known(old, seen).id}


def test_work_that_began_counts_for_its_deployment_and_other_work_for_its_service(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    uri = serve("v1")
    admin.register(uri, again=False)
    deployment = known(uri, admin.observe())
    call("Till/began/hold/send")
    call("Till/scheduled/hold/send?delay=1h")

    def seen() -> set[tuple[str | None, str, int]]:
        return {(work.deployment, work.service, work.count) for work in admin.observe().work}

    eventually(lambda: len(seen()) == 2 and any(each[0] for each in seen()))
    assert seen() == {(deployment.id, "Till", 1), (None, "Till", 1)}


def test_work_that_failed_and_will_be_tried_again_is_told_apart(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    uri = serve("v1")
    admin.register(uri, again=False)
    deployment = known(uri, admin.observe())

    call("Till/failing/failPatiently/send")

    eventually(lambda: admin.observe().retrying)
    [retrying] = admin.observe().retrying
    assert (retrying.deployment, retrying.service, retrying.count) == (deployment.id, "Till", 1)


def test_what_holds_a_version_is_told_with_what_it_waits_for(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    uri = serve("v1")
    admin.register(uri, again=False)
    deployment = known(uri, admin.observe())
    call("Till/waiting/hold/send")
    call("Till/broken/stumble/send")
    eventually(lambda: held(admin, deployment, "paused"))

    paused = next(holding for holding in held(admin, deployment, "paused") if "broken" in holding.handler)

    assert (paused.handler, paused.waiting_on, paused.pinned) == ("Till/broken/stumble", "a human: rescue", True)
    assert "the till is stuck" in paused.last_failure

    def waits_on() -> list[str]:
        found = admin.holding(deployment, frozenset())
        return [holding.waiting_on for holding in found if holding.handler == "Till/waiting/hold"]

    eventually(lambda: any(on.startswith("sleep closing time") for on in waits_on()))


def test_the_limit_of_what_holds_a_version_counts_only_what_is_asked_for(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    uri = serve("v1")
    admin.register(uri, again=False)
    deployment = known(uri, admin.observe())
    for path in ("Till/older/hold/send", "Till/odd-1/stumble/send", "Till/odd-2/stumble/send"):
        call(path)
    eventually(lambda: len(held(admin, deployment, "paused")) == len(("odd-1", "odd-2")))

    def asked(**which: Collection[str]) -> tuple[Holding, ...]:
        return admin.holding(deployment, SERVICES, 1, statuses=["paused"], **which)

    [first] = asked()
    [second] = asked(past=[first.id])
    assert {first.handler, second.handler} == {"Till/odd-1/stumble", "Till/odd-2/stumble"}
    assert asked(chosen=[second.id]) == (second,)
    assert asked(past=[first.id, second.id]) == ()
    with pytest.raises(UnknownError, match="non valid invocation id"):
        asked(chosen=["it's none"])


def test_paused_work_goes_on_with_a_version_that_is_fixed(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    broken, fixed = serve("v1"), serve("fixed")
    admin.register(broken, again=False)
    deployment = known(broken, admin.observe())
    call("Till/rescued/stumble/send")
    eventually(lambda: [holding for holding in held(admin, deployment, "paused") if "rescued" in holding.handler])
    admin.register(fixed, again=False)
    [holding] = [holding for holding in held(admin, deployment, "paused") if "rescued" in holding.handler]

    admin.resume(holding.id, known(fixed, admin.observe()).id)

    eventually(lambda: all(h.id != holding.id for d in admin.observe().deployments for h in admin.holding(d, SERVICES)))


def test_a_service_that_changed_its_type_is_refused_with_a_hint(admin: RestateAdmin, serve: Serve) -> None:
    admin.register(serve("v1"), again=False)
    retyped = serve("retyped")

    with pytest.raises(RefusedError, match="changed its type"):
        admin.register(retyped, again=False)


def test_a_service_that_does_not_answer_is_unknown_and_not_refused(admin: RestateAdmin) -> None:
    with pytest.raises(UnknownError, match=r"META0003.*its pods do not answer"):
        admin.register("http://127.0.0.1:1/", again=False)


def test_a_restate_that_does_not_answer_is_unknown() -> None:
    with RestateAdmin("http://127.0.0.1:1") as nobody, pytest.raises(UnknownError):
        nobody.observe()


@pytest.mark.parametrize(
    "answer", [b'{"deployments": [{"id": "dp_1"', b"{}", b"[]", b""], ids=["cut", "{}", "[]", "empty"]
)
def test_an_answer_that_is_not_whole_is_unknown(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with RestateAdmin("http://restate") as admin:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer))
        monkeypatch.setattr(admin, "_http", httpx.Client(base_url="http://restate", transport=transport))

        with pytest.raises(UnknownError):
            admin.observe()


def refusing(monkeypatch: pytest.MonkeyPatch) -> RestateAdmin:
    admin = RestateAdmin("http://restate")
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json={"message": "not now"}))
    monkeypatch.setattr(admin, "_http", httpx.Client(base_url="http://restate", transport=transport))
    return admin


@pytest.mark.parametrize(
    "ask",
    [
        RestateAdmin.observe,
        RestateAdmin.contracts,
        lambda admin: admin.query("select 1"),
        lambda admin: admin.troubled("dp_1"),
        lambda admin: admin.holding(Deployment("dp_1", "http://v1/", SERVICES), SERVICES),
    ],
    ids=["observe", "contracts", "query", "troubled", "holding"],
)
def test_a_question_that_is_refused_is_unknown(
    ask: Callable[[RestateAdmin], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(monkeypatch) as admin, pytest.raises(UnknownError, match=r"not now \(409\)"):
        ask(admin)


@pytest.mark.parametrize(
    "change",
    [
        lambda admin: admin.register("http://v1/", again=False),
        lambda admin: admin.deregister("dp_1"),
        lambda admin: admin.pause("inv_1"),
        lambda admin: admin.resume("inv_1", "dp_1"),
    ],
    ids=["register", "deregister", "pause", "resume"],
)
def test_a_change_that_is_refused_says_why(
    change: Callable[[RestateAdmin], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(monkeypatch) as admin, pytest.raises(RefusedError, match=r"not now \(409\)"):
        change(admin)


def test_the_retries_of_what_has_ended_meanwhile_are_not_paused(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    admin.register(serve("v1"), again=False)
    ended = call("Greeter/greet").headers["x-restate-id"]

    with pytest.raises(RefusedError):
        admin.pause(ended)


def test_a_service_that_the_new_version_dropped_stays_routed_to_the_old_one(admin: RestateAdmin, serve: Serve) -> None:
    old, new = serve("v1"), serve("dropped")
    admin.register(old, again=False)
    admin.register(new, again=False)

    seen = admin.observe()

    assert seen.routes == {"Till": known(new, seen).id, "Greeter": known(old, seen).id}


def test_work_that_failed_or_is_paused_is_told_apart_by_the_version_that_it_began_on(
    admin: RestateAdmin, serve: Serve, call: Callable[[str], httpx.Response]
) -> None:
    old, new = serve("v1"), serve("v2")
    admin.register(old, again=False)
    call("Till/old/stumble/send")
    was = known(old, admin.observe())
    eventually(lambda: held(admin, was, "paused"))
    admin.register(new, again=False)
    now = known(new, admin.observe())
    call("Till/new/failPatiently/send")
    eventually(lambda: held(admin, now, "backing-off"))

    assert admin.troubled(was.id) == (Troubled("Till/stumble", "paused", 1, 0),)
    [patient] = admin.troubled(now.id)
    assert (patient.handler, patient.status, patient.count, patient.own) == (
        "Till/failPatiently",
        "backing-off",
        1,
        True,
    )
    assert patient.attempts >= 1

    admin.resume(held(admin, was, "paused")[0].id, now.id)
    eventually(lambda: held(admin, now, "paused"))
    assert Troubled("Till/stumble", "paused", 1, 0, own=False) in admin.troubled(now.id)
