"""The commands that ship a version, look at it, go back, and clean up."""

import json
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import update_wrapper
from secrets import token_hex

import click
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from prometheus_client import start_http_server
from rich.console import Console
from urllib3.exceptions import HTTPError

from app.options import SECONDS
from app.release import history as histories
from app.release import metrics, nodes, replacing, report
from app.release.check import check as check_version
from app.release.cluster import WEBHOOK_SECRET, AnchorGoneError, Cluster
from app.release.evidence import Collector
from app.release.gatekeeper import rehearsed
from app.release.gates.findings import Gate
from app.release.gates.gates import PATIENCE_SECONDS
from app.release.lending import Lender, refuse_if_lent
from app.release.notebook import Notebook, Noted
from app.release.plan import Plan, Standing, Version
from app.release.rescue import stays
from app.release.restate_admin import LISTED, Holding, RefusedError, RestateAdmin, UnknownError
from app.release.restate_pods import RestatePods
from app.release.rounds import (
    PAUSE_SECONDS,
    NotDoneError,
    Release,
    as_if,
    bring_live,
    choose,
    one_round,
    previous,
    standing_of,
    take_down,
)
from app.release.signing import as_secret, new_signing_key
from app.release.trial import NotStartedError, try_image
from app.release.unchangeable import refuse_other_images, refuse_other_settings, refuse_what_cannot_change
from app.release.watcher import Watcher, refuse_what_was_taken_back
from app.release.watching import Outcome
from app.sandbox import identity

NOT_A_TERMINAL_COLUMNS = 180
WEBHOOK_SECRET_BYTES = 32
GOES_ON, RESUMED = "goes on", "resumed"
"""What a rescue says of an invocation that does not stay."""

dry_run = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")


deadline = click.option(
    "--deadline", default=180.0, show_default=True, type=SECONDS, help="Seconds until it has to be live."
)
output = click.option("--output", type=click.Choice(["text", "json"]), default="text", help="For humans or machines.")


NOT_DONE = (AnchorGoneError, ApiException, HTTPError, NotDoneError, NotStartedError, RefusedError, UnknownError)
"""Why a command was not done; anything else is a mistake in it."""


def _why(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"Kubernetes: {error.status} {error.reason}: {error.body}"
    return str(error)


@contextmanager
def _telling_the_way_back(cluster: Cluster) -> Iterator[None]:
    """Whatever a hook refuses, Helm shows the cause and the way back last."""
    try:
        yield
    except NOT_DONE as error:
        way_back = ""
        with suppress(*NOT_DONE):  # at the first install there is none
            way_back = cluster.way_back()
        raise NotDoneError(_with_way_back(_why(error), way_back)) from error


def pass_release(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the release to a command, and connect only then: the command's --help needs no cluster."""

    def connected(ctx: click.Context, /, *arguments: object, **options: object) -> None:
        ctx.invoke(command, ctx.obj(), *arguments, **options)

    return update_wrapper(click.pass_context(connected), command)


class Commands(click.Group):
    """Says in one line why a command was not done; its exit code is 1 then."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except NOT_DONE as error:
            raise click.ClickException(_why(error)) from error
        except ConfigException as error:
            raise click.ClickException(f"no cluster to talk to: {error} Set KUBECONFIG.") from error


@click.group("release", cls=Commands)
@click.option("--namespace", envvar="BETTING_RELEASE_NAMESPACE", default="default", help="Where the release is.")
@click.option("--name", envvar="BETTING_RELEASE_NAME", default="betting", help="What `helm install` called it.")
@click.option("--admin", envvar="BETTING_RELEASE_ADMIN", default="http://127.0.0.1:9070", help="Restate's admin URL.")
@click.option("--own-image", envvar="BETTING_RELEASE_IMAGE", default="", help="The image that runs this.")
@click.pass_context
def main(ctx: click.Context, namespace: str, name: str, admin: str, own_image: str) -> None:
    """Ship versions of the code side by side."""
    ctx.obj = lambda: Release(Cluster(namespace, name), ctx.with_resource(RestateAdmin(admin)), own_image)


@main.command()
@output
@pass_release
def status(release: Release, output: str) -> None:
    """Show where each version stands."""
    way_back = release.cluster.way_back()
    noted = Notebook(release.cluster).noted()
    _show(release.plan(), output, way_back, noted)
    if release.silence:
        raise NotDoneError(f"Restate: {release.silence}")


@main.command()
@click.argument("version")
@output
@pass_release
def why(release: Release, version: str, output: str) -> None:
    """List what holds a version: its routes, and each unfinished invocation."""
    standing = standing_of(version, release.plan())
    holding = _holding(release, standing)
    if output == "json":
        click.echo(report.why_json(standing, holding))
        return
    reasons = report.held_by(standing)
    click.echo(f"{version} is {standing.verdict}: " + ("; ".join(reasons) or "nothing holds it"))
    if holding:
        _console().print(report.holding_table(holding, datetime.now(UTC)))


@main.command()
@click.argument("version")
@click.option(
    "--gate",
    "gates",
    multiple=True,
    type=click.Choice([gate.value for gate in Gate]),
    help="Only this one; may be repeated.",
)
@click.option(
    "--patience",
    default=PATIENCE_SECONDS,
    show_default=True,
    help="Seconds for which a gate that cannot tell is asked again.",
)
@output
@pass_release
def check(release: Release, version: str, gates: tuple[str, ...], patience: float, output: str) -> None:
    """Ask the gates about a version, as before it takes traffic; nothing changes. Its rehearsal runs meanwhile."""
    check_version(release, version, tuple(map(Gate, gates)), patience, output)


@main.command()
@deadline
@dry_run
@output
@pass_release
def register(release: Release, deadline: float, dry_run: bool, output: str) -> None:
    """Send new work to the version that the values name, or an operator chose, once its pods are ready."""
    with _telling_the_way_back(release.cluster):
        plan = release.plan()
        planned = as_if(plan, plan.wanted)
        if dry_run or output == "json":
            _show(planned, output)
        if dry_run:
            return
        release.cluster.adopt()
        release.cluster.adopt_secrets()
        made = bring_live(release, deadline, _tell)
        refuse_what_was_taken_back(release)
        release.cluster.note_deployed()
        if output == "json":
            _show(made, output)
        else:
            _tell(
                f"{made.wanted} takes all new work"
            )  # no table: Helm shows a hook's lines, and the last one is the reason


@main.command()
@click.argument("version")
@deadline
@dry_run
@output
@pass_release
def promote(release: Release, version: str, deadline: float, dry_run: bool, output: str) -> None:
    """Send new work to this version; it stays so until the values name another `current`."""
    _choose(release, version, deadline, dry_run, output)


@main.command()
@click.argument("version", required=False)
@deadline
@dry_run
@output
@pass_release
def rollback(release: Release, version: str | None, deadline: float, dry_run: bool, output: str) -> None:
    """Send new work back to an older version; what began on the newer one ends there."""
    _choose(release, version or previous(release.plan()), deadline, dry_run, output)


@main.command()
@click.argument("version")
@dry_run
@output
@pass_release
def retire(release: Release, version: str, dry_run: bool, output: str) -> None:
    """Take a drained version down now; the release loop does it by itself."""
    plan = release.plan(drained_before=frozenset({version}))
    standing_of(version, plan)
    _show(as_if(plan, version), output)
    if not dry_run:
        take_down(release, version, _tell)


@main.command()
@click.argument("version")
@click.option("--to", "target", help="The version to go on with; without it, the one that takes new work.")
@click.option("--invocation", "chosen", multiple=True, help="Only this one; may be repeated.")
@click.option("--retrying", is_flag=True, help="Also those that still retry: they are paused first.")
@click.option("--unchecked", is_flag=True, help="Resume them without a replay.")
@dry_run
@output
@pass_release
def rescue(
    release: Release,
    version: str,
    target: str | None,
    chosen: tuple[str, ...],
    retrying: bool,
    unchecked: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Go on with paused work of a version, on this or another one.

    Each is replayed against the target's rehearsal first. What the target would not go on with stays as it is, and is
    named. They are taken a hundred at a time, oldest first, until a hundred went on: repeat it until none is left that
    goes on.
    """
    plan = release.plan()
    aim = standing_of(target or plan.wanted, plan)
    onto = aim.deployment
    if onto is None:
        raise NotDoneError(f"Restate does not know {target or plan.wanted}")
    statuses = {"paused", "backing-off"} if retrying else {"paused"}
    standing, results, went_on = standing_of(version, plan), dict[str, str](), 0
    while went_on < LISTED and (page := _holding(release, standing, statuses, chosen, results)):
        staying: Mapping[str, str] = {} if unchecked else _stays(release, aim.version, page)
        for held in page:
            result = staying.get(held.id) or (GOES_ON if dry_run else _resumed(release, held, onto.id))
            results[held.id] = result
            went_on += result in (GOES_ON, RESUMED)
            if output != "json":
                click.echo(f"resume {held.id} {held.handler} on {onto.id}: {result}")
    if output == "json":
        click.echo(json.dumps({"onto": onto.id, "invocations": results}))
    elif not results:
        click.echo(f"plan: nothing to do; no work of {version} is {' or '.join(sorted(statuses))}")


@main.group()
def node() -> None:
    """Look after the nodes of Restate. It takes your own rights: to run its tool in its pods, and to delete one."""


@node.command("replace")
@click.argument("name")
@click.option(
    "--deadline",
    default=600.0,
    show_default=True,
    type=SECONDS,
    help="Seconds until the node has to be back.",
)
@dry_run
@output
@pass_release
def replace_node(release: Release, name: str, deadline: float, dry_run: bool, output: str) -> None:
    """Bring back a node of Restate, by its pod's name, that lost its volume; it gets a new number.

    It never takes a node that may still have its data, and needs all others alive. It may be repeated at any time:
    what is done is not done again.
    """
    machine = RestatePods(release.cluster)
    names = machine.names()
    if because := nodes.refusal(name, names):  # before the look, for which a pod of Restate has to be ready
        raise NotDoneError(because)
    if dry_run:
        made = nodes.plan(replacing.look(machine), name, names)
        if made.refused:
            raise NotDoneError(made.refused)
        lines = "\n".join(replacing.as_lines(made))
        click.echo(replacing.as_json(name, made.actions, made.done) if output == "json" else lines)
        return
    replaced = replacing.replace(machine, name, names, deadline, _once_each())
    click.echo(replacing.as_json(name, replaced.did, replaced.ended) if output == "json" else replaced.ended)


@main.command()
@output
@pass_release
def history(release: Release, output: str) -> None:
    """Show what took new work when, who or what changed it, and how its gates and its watch ended; newest last."""
    entries = histories.read(Notebook(release.cluster).history())
    click.echo(histories.written(entries) if output == "json" else "\n".join(histories.as_lines(entries)))


@main.command()
@click.option("--metrics-port", default=9100, show_default=True)
@click.option(
    "--watch-seconds",
    default=120.0,
    show_default=True,
    type=SECONDS,
    help="How long a new version is watched; 0: not.",
)
@click.option("--books/--no-books", default=True, help="Whether there is a bookkeeper to ask.")
@pass_release
def watch(release: Release, metrics_port: int, watch_seconds: float, books: bool) -> None:
    """Repeat for ever: bring the wanted version live, watch it, drain the others, take down what is drained."""
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    start_http_server(metrics_port)
    tell, drained = _once_each(), frozenset[str]()
    notebook, lender = Notebook(release.cluster), Lender(release.cluster, release.own_image, _once_each())
    watcher = Watcher(release, notebook, Collector(notebook, release.restate, books), watch_seconds, _once_each())
    while not stop.is_set():
        try:
            lender.look()
            plan = one_round(release, drained - watcher.kept(), tell)
            noted = watcher.look(plan)
            metrics.EXPORTED.show_watch(noted, notebook.taken_back(), release.cluster.intent().current)
        except (ApiException, HTTPError) as error:
            tell(f"Kubernetes does not answer: {error}")
        except AnchorGoneError as error:
            tell(str(error))
        else:
            metrics.EXPORTED.show(plan)
            drained = plan.drained
            if release.silence:
                tell(f"Restate does not answer: {release.silence}")
        stop.wait(PAUSE_SECONDS)


# An image that was lent may be older than the chart: it first says why it was lent, and then what it does not know.
@main.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--images", required=True, help="The image of each version in the new values, as a JSON object.")
@click.option("--foundation", default="{}", help="What the new values want of what cannot change, as a JSON object.")
@click.option("--settings", default="{}", help="The settings of each version in the new values, as a JSON object.")
@click.option("--restate-image", help="The image that Restate is to have; another one is started once beforehand.")
@deadline
@click.option("--signing-key/--no-signing-key", default=True, help="Make the key that Restate signs with.")
@click.option("--make-webhook-secret", is_flag=True, help="Make the secret that the sandbox signs its webhooks with.")
@click.option("--make-token-key", is_flag=True, help="Make the key that the sandbox signs tokens with.")
@click.option(
    "--webhook-secret-in",
    "secrets",
    multiple=True,
    help="A Secret that may have the webhook secret; one of them has to.",
)
@click.option("--needed-secret", "needed", multiple=True, help="A Secret without which Restate does not start.")
@pass_release
def prepare(
    release: Release,
    images: str,
    foundation: str,
    settings: str,
    restate_image: str | None,
    deadline: float,
    signing_key: bool,
    make_webhook_secret: bool,
    make_token_key: bool,
    secrets: tuple[str, ...],
    needed: tuple[str, ...],
) -> None:
    """Before an install or upgrade: make keys once; refuse what cannot work, and another image under an old key."""
    cluster, image_of_each = release.cluster, json.loads(images)
    with _telling_the_way_back(cluster):
        refuse_if_lent(cluster, release.own_image, image_of_each)
        if unknown := click.get_current_context().args:
            raise click.UsageError(f"No such option: {unknown[0]}")
        if wanted := json.loads(foundation):
            refuse_what_cannot_change(cluster, wanted, signing_key)
        versions = cluster.versions(image_of_each)
        if of_each := json.loads(settings):
            refuse_other_settings(versions, of_each)
        refuse_other_images(release, versions)
        _refuse_without_webhook_secret(cluster, secrets)
        for secret in needed:
            if cluster.lacks_secret(secret):
                raise NotDoneError(
                    f"there is no Secret {secret}, without which Restate does not start; nothing has changed"
                )
        if restate_image and try_image(cluster, restate_image, deadline):
            click.echo(f"{restate_image} was started beside Restate, which may have it")
        if signing_key and cluster.make_signing_key(*new_signing_key()):
            click.echo("made the key that Restate signs its requests with")
        if make_webhook_secret and cluster.make_webhook_secret(token_hex(WEBHOOK_SECRET_BYTES)):
            click.echo("made the secret that the sandbox signs its webhooks with")
        if make_token_key:
            key = identity.new_key()
            if cluster.make_token_key(key, identity.key_set(key)):
                click.echo("made the key that the sandbox signs tokens with")


def _refuse_without_webhook_secret(cluster: Cluster, secrets: tuple[str, ...]) -> None:
    if secrets and not any(cluster.tells(secret, WEBHOOK_SECRET) for secret in secrets):
        raise NotDoneError(
            f"no Secret of service.secrets ({', '.join(secrets)}) has the key {WEBHOOK_SECRET}, without which the "
            f"service does not start; kubectl create secret generic {secrets[0]} --from-literal={WEBHOOK_SECRET}=..."
        )


@main.command()
@click.argument("name")
def signing_key(name: str) -> None:
    """Print a Secret with a new key pair, for `kubectl create -f -`; what runs goes on with the key that it has."""
    click.echo(as_secret(name))


def _choose(release: Release, version: str, deadline: float, dry_run: bool, output: str) -> None:
    plan = release.plan(wanted=version)
    standing_of(version, plan)
    _show(as_if(plan, version), output)
    if not dry_run:
        _show(choose(release, version, deadline, _tell), output)


def _holding(
    release: Release,
    standing: Standing,
    statuses: Collection[str] = (),
    chosen: Collection[str] = (),
    past: Collection[str] = (),
) -> tuple[Holding, ...]:
    if standing.deployment is None:
        return ()
    return release.restate.holding(standing.deployment, standing.routes, statuses=statuses, chosen=chosen, past=past)


def _stays(release: Release, target: Version, rescued: Sequence[Holding]) -> Mapping[str, str]:
    """Why each of them does not go on with the target; NotDoneError where that cannot be known."""
    replayed = rehearsed(release.cluster, release.restate, target, [held.id for held in rescued])
    if replayed is None:
        raise NotDoneError(
            f"{target.name} has no rehearsal, so how it would go on is not known: --unchecked resumes all the same"
        )
    return stays(rescued, replayed)


def _resumed(release: Release, held: Holding, deployment: str) -> str:
    try:
        if held.status == "backing-off":
            release.restate.pause(held.id)
        release.restate.resume(held.id, deployment)
    except (RefusedError, UnknownError) as error:
        return str(error)
    return RESUMED


def _with_way_back(problem: str, way_back: str) -> str:
    return f"{problem}; to go back: {way_back}" if way_back else problem


def _show(plan: Plan, output: str, way_back: str = "", noted: Noted | None = None) -> None:
    if output == "json":
        click.echo(report.as_json(plan, way_back, asdict(noted) if noted else None))
        return
    _console().print(report.table(plan, datetime.now(UTC)))
    click.echo(report.steps(plan.actions))
    if noted is not None and noted.outcome is not Outcome.UNWATCHED:
        click.echo(f"watch of {noted.live}, against {noted.before}: {'; '.join((noted.outcome, *noted.because))}")
    if way_back:
        click.echo(f"last deployed, if an upgrade fails or is interrupted: {way_back}")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=NOT_A_TERMINAL_COLUMNS)


def _tell(line: str) -> None:
    click.echo(f"{datetime.now(UTC):%H:%M:%S} {line}", err=True)


def _once_each() -> Callable[[str], None]:
    """Say a line, and do not repeat it while nothing else is said."""
    last = ""

    def tell(line: str) -> None:
        nonlocal last
        if line != last:
            _tell(line)
        last = line

    return tell
