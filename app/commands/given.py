"""What a command is given by the environment and the machine."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from app.settings import Settings

SHOWN_CHARACTERS = 200
"""How much of a wrong value is repeated."""


def read_settings() -> "Settings":
    """Read the settings; a value that is none ends the command with the variable's name."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        problems = [
            _problem(str(problem["loc"][0]), problem) if problem["loc"] else problem["msg"]
            for problem in error.errors(include_url=False)
        ]
        cure = "correct or unset these variables; `betting settings` lists them with defaults and units:"
        # The cause comes last: of a pod that crashes, Kubernetes and `release status` show the last line.
        raise click.ClickException("\n".join([cure, *problems])) from None


def _problem(name: str, problem: "ErrorDetails") -> str:
    from app.settings import Settings

    given = "(hidden)" if Settings.is_secret(name) else as_written(problem["input"])[:SHOWN_CHARACTERS]
    return f"BETTING_{name.upper()}={given}: {problem['msg']}"


def as_written(value: object) -> str:
    """A value as one writes it in the environment."""
    if isinstance(value, tuple | frozenset | list):
        return ",".join(map(as_written, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def require_free(host: str, port: int, setting: str) -> None:
    """End the command with the setting that chooses another port, where this one cannot be had."""
    import socket

    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port} ({error.strerror}). Stop what listens there, or set {setting}."
        ) from None
