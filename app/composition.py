"""The composition root: makes what the services need from the settings, and serves them."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import restate
from hypercorn.asyncio import serve as serve_asgi
from restate.logging import RestateLoggingFilter
from restate.server import install_shutdown_hook
from restate.server_types import RestateAppT

from app import __version__
from app.connections import ServerConfig
from app.domain.follow_up import Patience
from app.domain.policy import Policy, method_name
from app.providers.configured import mailer_of, provider_of
from app.providers.messages import Mailer
from app.providers.payments import PaymentProvider
from app.services.comms import comms
from app.services.markets.feed import market_feed
from app.services.markets.markets import market, market_book, market_teller
from app.services.markets.pages import bet_pages
from app.services.markets.quarantine import market_quarantine
from app.services.payments.follow_up import deposit_follow_up
from app.services.payments.payments import payments
from app.services.payments.withdrawal_follow_up import withdrawal_follow_up
from app.services.payments.withdrawals import withdrawal_workflow
from app.services.player import player
from app.services.player.archive import archive_bucket
from app.services.player.statements import statements
from app.services.repair import repair
from app.services.settlement import settlement, settlement_run, settlement_workflow
from app.services.shell.access import public_handlers
from app.services.shell.dependencies import Dependencies, connect
from app.settings import Settings
from app.telemetry import metrics, traces
from app.telemetry.counts import Counts
from app.telemetry.folder import current_folder
from app.telemetry.logs import log_to_stderr

SERVICES = (
    repair,
    settlement_workflow,
    settlement_run,
    settlement,
    payments,
    deposit_follow_up,
    withdrawal_follow_up,
    withdrawal_workflow,
    player,
    market_quarantine,
    market_feed,
    market,
    market_book,
    market_teller,
    bet_pages,
    archive_bucket,
    statements,
    comms,
)

UNLIMITED = 2**31
"""Hypercorn closes a connection after 1,000 requests by default, which fails whatever is in flight on it."""
STREAMS_PER_CONNECTION = 128
"""More than Restate sends on one: what it sends beyond a limit that it has not heard of yet waits for long."""


def dependencies_of(settings: Settings, provider: PaymentProvider, mailer: Mailer, counts: Counts) -> Dependencies:
    """What the services reach outside, and the operator's decisions."""
    return Dependencies(
        provider=provider,
        mailer=mailer,
        counts=counts,
        policy=Policy(
            default_currency=settings.default_currency,
            default_weekly_deposit_limit=settings.default_weekly_deposit_limit,
            review_threshold=settings.review_threshold,
            raise_cooling_off=timedelta(seconds=settings.raise_cooling_off_seconds),
            raise_confirm=timedelta(seconds=settings.raise_confirm_seconds),
            reinstate_wait=timedelta(seconds=settings.reinstate_seconds),
            payment_methods=frozenset(map(method_name, settings.payment_methods)),
            max_open_bets=settings.max_open_bets,
            max_payout=settings.max_payout,
            max_payout_per_day=settings.max_payout_per_day,
            cash_out_margin_percent=settings.cash_out_margin_percent,
        ),
        patience=Patience(
            pauses=settings.lookup_seconds,
            window=timedelta(seconds=settings.provider_window_seconds),
            deadline=timedelta(seconds=settings.unknown_deadline_seconds),
        ),
        charge_wait=timedelta(seconds=settings.charge_wait_seconds),
        review_timeout=timedelta(seconds=settings.review_timeout_seconds),
        market_books=settings.market_books,
        require_identity=settings.require_identity,
    )


def build_app(settings: Settings) -> RestateAppT:
    """The ASGI application that Restate calls; with identity keys, only that Restate may.

    Raises ValueError for a public handler that does not say who may call it.
    """
    list(public_handlers(SERVICES))
    for component in SERVICES:
        component.idempotency_retention = timedelta(seconds=settings.idempotency_seconds)
    return restate.app(SERVICES, identity_keys=list(settings.identity_keys))


def server_config(settings: Settings) -> ServerConfig:
    """How the application is served: HTTP/2 with prior knowledge, on connections that end when nothing is lost."""
    config = ServerConfig(settings.connection_seconds)
    config.bind = [f"{settings.host}:{settings.port}"]
    config.keep_alive_max_requests = UNLIMITED
    config.keep_alive_timeout = 3600
    config.h2_max_concurrent_streams = STREAMS_PER_CONNECTION
    config.graceful_timeout = settings.shutdown_grace_seconds
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    return config


def _end_within(seconds: float) -> None:
    """End the process even if its server does not, as was seen when streams were ending at the very signal."""

    def end() -> None:
        logging.getLogger(__name__).error("did not end in %g s; what is in flight is repeated elsewhere", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; what is in flight then is given the grace period, and is retried elsewhere."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        _end_within(settings.end_seconds)

    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(loop, end, signum)
    log_to_stderr(settings.log_format, settings.secrets, RestateLoggingFilter())
    config = server_config(settings)

    async def stopped() -> None:
        await stop.wait()
        await config.end()

    async with (
        provider_of(settings) as provider,
        mailer_of(settings) as mailer,
    ):
        with telemetry(settings) as counts:
            connect(dependencies_of(settings, provider, mailer, counts))
            await serve_asgi(build_app(settings), config, shutdown_trigger=stopped, mode="asgi")


@contextmanager
def telemetry(settings: Settings) -> Iterator[Counts]:
    """Count, export and trace what the service does, in the folder that `metrics_folder` has set."""
    metrics.BUILD_INFO.labels(settings.version, __version__).set(1)
    with (
        closing(Counts(current_folder())) as counts,
        metrics.exported(counts, settings.host, settings.metrics_port),
        traces.traced(settings.otel_endpoint, settings.version),
    ):
        yield counts
