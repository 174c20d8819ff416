"""The JSON schemas of requests and answers, from the models that read and write them."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_snake
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from app.services.shell.access import PublicHandler

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
NAME = re.compile(r"[A-Z][A-Za-z]*")


class _Generator(GenerateJsonSchema):
    """Pydantic's schemas, as generators of clients read them best: without titles, and maps as maps."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """An answer has all its fields but those that it leaves out where they are None."""
        if self.mode == "serialization":
            return "serialization_exclude_if" not in field
        return super().field_is_required(field, total)

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        """A field that is left out where it is None is never null."""
        written = super().model_field_schema(schema)
        is_left_out = self.mode == "serialization" and "serialization_exclude_if" in schema
        return not_null(written) if is_left_out else written

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A field has its name."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A default is ours to apply, not for clients to send."""
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A map, with the pattern of its keys apart: generators read no `patternProperties`."""
        written = super().dict_schema(schema)
        if "patternProperties" in written:
            [(pattern, values)] = written.pop("patternProperties").items()
            written["additionalProperties"] = values
            written["propertyNames"] = {"pattern": pattern}
        return written


def schemas_of(handlers: Iterable[PublicHandler]) -> dict[str, Schema]:
    """The schemas of all requests and answers, and of what is inside them, by name.

    Raises ValueError for two models with one name, and for one that is part of a request and of an answer.
    """
    handlers = list(handlers)
    requests = {handler.request: None for handler in handlers if takes_body(handler)}
    answers = {handler.answer: None for handler in handlers}
    _, generated = models_json_schema(
        [*((model, "validation") for model in requests), *((model, "serialization") for model in answers)],
        ref_template=REFERENCE,
        schema_generator=_Generator,
    )
    schemas: dict[str, Schema] = generated["$defs"]
    for name, schema in schemas.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"{name}: give one of the models with this name another name")
        schema.pop("title", None)
        if schema.get("additionalProperties") is True:
            del schema["additionalProperties"]  # of stored state, which keeps what it does not know
        if "description" in schema:
            schema["description"] = _in_aliases(schema["description"], schema.get("properties", {}))
    for handler in handlers:
        if handler.is_sparse:
            _leave_out_none(schemas[handler.answer.__name__])
    return dict(sorted(schemas.items()))


def reference(model: type[BaseModel]) -> Schema:
    """A reference to a model's schema."""
    return {"$ref": REFERENCE.format(model=model.__name__)}


def takes_body(handler: PublicHandler) -> bool:
    """Whether a handler takes anything at all."""
    return handler.request.model_fields != {}


def not_null(schema: Schema) -> Schema:
    """A schema of the same, but never null."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if not others:
        return schema
    return others[0] if len(others) == 1 else {**schema, "anyOf": others}


def _leave_out_none(schema: Schema) -> None:
    """Say of the fields that an answer leaves out where they are None that they are optional, and never null."""
    for name, field in schema["properties"].items():
        if not_null(field) != field:
            schema["properties"][name] = not_null(field)
            schema["required"].remove(name)


def _in_aliases(text: str, fields: Iterable[str]) -> str:
    """A docstring with the names of its fields as they are in JSON."""
    for alias in fields:
        text = text.replace(f"`{to_snake(alias)}`", f"`{alias}`")
    return text
