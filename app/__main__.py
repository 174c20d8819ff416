"""The `betting` command."""

import sys

import click

from app import __version__
from app.commands.books import books
from app.commands.capacity import capacity
from app.commands.dev import dev, token
from app.commands.door import edge, openapi
from app.commands.sandbox import sandbox
from app.commands.serving import rehearse, serve
from app.commands.settings import settings
from app.commands.simulate import simulate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="betting")
def betting() -> None:
    """Run a durable betting back office on Restate."""


@betting.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def release(arguments: tuple[str, ...]) -> None:
    """Ship versions side by side on Kubernetes; `betting release --help` lists its commands."""
    from app.release.cli import main

    main(arguments or ["--help"], prog_name="betting release", standalone_mode=False)


for command in (books, capacity, dev, edge, openapi, rehearse, sandbox, serve, settings, simulate, token):
    betting.add_command(command)


def main() -> None:
    """Run the command, ending with 2 for wrong usage, 1 for a failure and 130 for Ctrl-C."""
    try:
        sys.exit(betting(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"Error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
