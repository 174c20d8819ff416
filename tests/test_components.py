"""Every component that there is in app/services is served."""

import importlib
import pkgutil

from restate import Service, VirtualObject, Workflow

import app.services
from app.composition import SERVICES


def test_every_component_is_served() -> None:
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(app.services.__path__, "app.services.")
    ]

    found = {
        id(one)
        for module in modules
        for one in vars(module).values()
        if isinstance(one, Service | VirtualObject | Workflow)
    }
    assert found == {id(service) for service in SERVICES}
