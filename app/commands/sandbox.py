"""`betting sandbox`: a payment provider and a mail inbox."""

from pathlib import Path

import click

from app.commands.given import read_settings, require_free


@click.command()
@click.option("--host", default="127.0.0.1", envvar="SANDBOX_HOST", show_default=True, show_envvar=True)
@click.option(
    "--port", default=9090, type=click.IntRange(1, 65_535), envvar="SANDBOX_PORT", show_default=True, show_envvar=True
)
@click.option(
    "--smtp-port",
    default=1025,
    type=click.IntRange(1, 65_535),
    envvar="SANDBOX_SMTP_PORT",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("sandbox.sqlite"),
    envvar="SANDBOX_DATABASE",
    show_default=True,
    show_envvar=True,
    help="File that remembers charges, payouts and mails.",
)
@click.option(
    "--webhook-base",
    default="http://127.0.0.1:8080",
    envvar="SANDBOX_WEBHOOK_BASE",
    show_default=True,
    show_envvar=True,
    help="Restate's ingress, where webhooks go.",
)
@click.option(
    "--smtp-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SANDBOX_SMTP_CERTIFICATE",
    show_envvar=True,
    help="File with the inbox's certificate, for BETTING_SMTP_SECURITY other than none.",
)
@click.option(
    "--smtp-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SANDBOX_SMTP_KEY",
    show_envvar=True,
    help="File with the certificate's key, unless it is in the same file.",
)
def sandbox(
    host: str,
    port: int,
    smtp_port: int,
    database: Path,
    webhook_base: str,
    smtp_certificate: Path | None,
    smtp_key: Path | None,
) -> None:
    """Run a payment provider and a mail inbox to develop and demonstrate against.

    It demands what the service is told to give: BETTING_PROVIDER_KEY, and BETTING_SMTP_SECURITY, _USER and _PASSWORD.
    """
    import uvloop

    from app.sandbox.inbox import Demands
    from app.sandbox.server import serve

    settings = read_settings()
    if not settings.webhook_secret:
        raise click.ClickException("BETTING_WEBHOOK_SECRET: not set; set it to the secret that the service has")
    require_free(host, port, "--port")
    require_free(host, smtp_port, "--smtp-port")
    if settings.smtp_security != "none" and smtp_certificate is None:
        raise click.ClickException(f"BETTING_SMTP_SECURITY={settings.smtp_security}: needs --smtp-certificate")
    demands = Demands(settings.smtp_security, smtp_certificate, smtp_key, settings.smtp_user, settings.smtp_password)
    uvloop.run(
        serve(
            host,
            port,
            smtp_port,
            database,
            webhook_base,
            settings.webhook_secret[0],
            provider_key=settings.provider_key,
            provider_key_header=settings.provider_key_header,
            demands=demands,
        )
    )
