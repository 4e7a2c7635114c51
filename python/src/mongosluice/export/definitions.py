"""Recursive classes: `$defs` and `$ref`, which schema files have in addition to MongoDB's keywords."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator

from mongosluice.export.schema import Exported, Schema, any_of

POINTER = "#/$defs/"
# Keywords whose schemas apply to the same value.
IN_PLACE = ("anyOf", "allOf", "oneOf")


class Definitions:
    """The classes that are being expanded, and the schemas of the recursive ones."""

    def __init__(self) -> None:
        self.open: list[Hashable] = []
        self.names: dict[Hashable, str] = {}
        self.schemas: dict[str, Schema] = {}

    def of(self, key: Hashable, name: str, marks: Schema, make: Callable[[], Schema], whole: bool = False) -> Schema:
        """The result of `make`, or, within the class itself, a reference to it. `marks` stands beside a reference and
                holds facts about every such value. `whole`: the caller needs the schema itself, not a reference."""
        if key in self.open:
            return {**marks, "$ref": POINTER + self.names.setdefault(key, self.unused(name))}
        self.open.append(key)
        try:
            schema = make()
        finally:
            self.open.pop()
        if key not in self.names:
            return schema
        self.schemas[self.names[key]] = schema
        return schema if whole else {**marks, "$ref": POINTER + self.names[key]}

    def is_named(self, key: Hashable) -> bool:
        """Whether the class occurred within itself."""
        return key in self.names

    def unused(self, name: str) -> str:
        """A name of letters, digits and underscores that no other class has."""
        plain = "".join(char if char.isalnum() and char.isascii() else "_" for char in name)
        taken = set(self.names.values())
        return next(one for one in [plain, *(f"{plain}_{i}" for i in range(2, len(taken) + 3))] if one not in taken)

    def target(self, schema: Schema) -> Schema | None:
        """The target of a reference, if it is known yet. A schema that is not a reference is its own target."""
        return self.schemas.get(name_of(schema)) if "$ref" in schema else schema

    def attached(self, schema: Schema, note: Callable[[str], None]) -> Schema:
        """The schema with the definitions that it uses. A definition that only leads to itself accepts everything;
                `note` gets its name."""
        for name in self.schemas:
            if name in followed(self.schemas, in_place(self.schemas[name])):
                note(name)
                self.schemas[name] = {}
        used = followed(self.schemas, references(schema), deep=True)
        found = {name: without_marks(self.schemas[name]) for name in self.schemas if name in used}
        return {**without_marks(schema), "$defs": found} if found else schema


def without_marks(schema: Schema) -> Schema:
    """Removes the type beside a reference, because the definition has it too."""
    out = changed(schema, without_marks)
    if "$ref" in out:
        out.pop("bsonType", None)
    return out


def name_of(schema: Schema) -> str:
    return str(schema["$ref"])[len(POINTER):]


def changed(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with a change of each subschema."""
    out = dict(schema)
    for keyword in ("properties", "patternProperties", "$defs"):
        if keyword in schema:
            out[keyword] = {name: change(one) for name, one in schema[keyword].items()}
    for keyword in (*IN_PLACE, "items", "additionalProperties", "additionalItems", "not"):
        one = schema.get(keyword)
        if isinstance(one, list):
            out[keyword] = [change(inner) for inner in one]
        elif isinstance(one, dict):
            out[keyword] = change(one)
    return out


def references(schema: Schema) -> Iterator[str]:
    """All names that a schema refers to."""
    found: list[str] = []

    def look(one: Schema) -> Schema:
        found.extend(references(one))
        return one

    changed(schema, look)
    yield from [name_of(schema), *found] if "$ref" in schema else found


def in_place(schema: Schema) -> Iterator[str]:
    """The names that it refers to for the value itself."""
    if "$ref" in schema:
        yield name_of(schema)
    for keyword in IN_PLACE:
        for one in schema.get(keyword, ()):
            yield from in_place(one)


def followed(schemas: dict[str, Schema], names: Iterable[str], deep: bool = False) -> set[str]:
    """These names, and the names that their schemas refer to."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            inner = schemas.get(name, {})
            pending += references(inner) if deep else in_place(inner)
    return found


def renamed(schema: Schema, names: dict[str, str]) -> Schema:
    """The schema with other names in its references."""
    out = changed(schema, lambda one: renamed(one, names))
    if "$ref" in schema:
        out["$ref"] = POINTER + names.get(name_of(schema), name_of(schema))
    return out


def alternatives(schemas: list[Schema]) -> Schema:
    """An alternative of schemas with their own definitions. If two use one name for different definitions, one
        definition gets another name."""
    definitions: dict[str, Schema] = {}
    bodies = []
    for schema in schemas:
        own = schema.get("$defs", {})
        names: dict[str, str] = {}
        if any(definitions.get(name, one) != one for name, one in own.items()):
            for name in own:
                taken = {*definitions, *own, *names.values()}
                names[name] = next(one for one in (f"{name}_{i}" for i in itertools.count(2)) if one not in taken)
        definitions.update({names.get(name, name): renamed(one, names) for name, one in own.items()})
        bodies.append(renamed({key: one for key, one in schema.items() if key != "$defs"}, names))
    joined = any_of(bodies)
    return {**joined, "$defs": definitions} if definitions and joined else joined


def merge(namespaces: list[Exported]) -> Exported:
    """Several classes in one collection: a document belongs to one of them."""
    if len(namespaces) == 1:
        return namespaces[0]
    ordered = sorted(namespaces, key=lambda one: one.models)
    notes = tuple(dict.fromkeys(note for one in ordered for note in one.notes))
    models = tuple(dict.fromkeys(name for one in ordered for name in one.models))
    return Exported(ordered[0].ns, alternatives([one.schema for one in ordered]), models, notes)
