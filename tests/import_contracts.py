"""Contracts between modules that import-linter does not bring along; pyproject.toml says what they are about."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Allowed(Contract):
    """A package imports of what is not the project's nothing but what is named, directly."""

    type_name = "allowed"

    source_modules = fields.ListField(subfield=fields.StringField())
    allowed_modules = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Compare what is imported with what is named."""
        own = {module.split(".")[0] for module in self.source_modules}  # type: ignore[attr-defined]
        wrong = sorted(
            (module, imported)
            for source in self.source_modules  # type: ignore[attr-defined]
            for module in {source, *graph.find_descendants(source)}
            for imported in graph.find_modules_directly_imported_by(module)
            if imported.split(".")[0] not in {*own, *self.allowed_modules}  # type: ignore[misc]
        )
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say who imports what."""
        for module, imported in check.metadata["wrong"]:
            output.print_error(f"{module} imports {imported}, which is not allowed.")
