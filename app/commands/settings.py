"""`betting settings`: every setting, with its value."""

import json
from typing import TYPE_CHECKING

import click

from app.commands.given import as_written, read_settings

if TYPE_CHECKING:
    from app.settings import Settings


@click.command()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def settings(output: str) -> None:
    """List every setting: its environment variable, default, unit and value."""
    rows = _rows(read_settings())
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return

    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("Variable", no_wrap=True), "Default", "What it is", "Value")
    for row in rows:
        changed = row["value"] != row["default"]
        table.add_row(*(str(row[column]) for column in row), style="bold" if changed else None)
    Console().print(table)


def _rows(settings: "Settings") -> list[dict[str, str]]:
    return [
        {
            "variable": f"BETTING_{name.upper()}",
            "default": as_written(field.default),
            "description": field.description or "",
            "value": _shown(settings, name),
        }
        for name, field in type(settings).model_fields.items()
    ]


def _shown(settings: "Settings", name: str) -> str:
    """A value in force; of a secret, only that there is one."""
    value = as_written(getattr(settings, name))
    return "(hidden)" if value and settings.is_secret(name) else value
