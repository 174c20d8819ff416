"""`betting serve` and `betting rehearse`: the service by itself."""

import click

from app.commands.given import read_settings, require_free


@click.command()
def serve() -> None:
    """Run the service alone, for a Restate elsewhere; `betting settings` lists what it reads."""
    import uvloop

    from app.telemetry.folder import metrics_folder

    settings = read_settings()
    if problems := [f"BETTING_{name.upper()}: {problem}" for name, problem in settings.missing()]:
        raise click.ClickException("\n".join(problems))
    require_free(settings.host, settings.port, "BETTING_PORT")
    if settings.metrics_port:
        require_free(settings.host, settings.metrics_port, "BETTING_METRICS_PORT")
    with metrics_folder(settings.metrics_dir):
        from app.composition import serve

        uvloop.run(serve(settings))


@click.command()
def rehearse() -> None:
    """Serve this code to the gates of a release, without reaching anything; `betting settings` lists what it reads."""
    import uvloop

    from app.telemetry.folder import metrics_folder

    settings = read_settings()
    require_free(settings.host, settings.port, "BETTING_PORT")
    with metrics_folder(settings.metrics_dir):
        from app.rehearsal import rehearse

        uvloop.run(rehearse(settings))
