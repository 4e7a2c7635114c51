"""`mongosluice report`: each model's mode under offload, and the changes that `full` requires. It asks no server,
so it assumes that the proxy enforces the schemas."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mongosluice.export.schema import Note
from mongosluice.export.targets import (
    DEFAULT_DATABASE,
    Importing,
    export_model,
    is_beanie,
    is_mongoengine,
    read_target,
)
from mongosluice.offload.state import ENCODE_ONLY, FULL, OFF, Failed, attempted

# The remedy for each reason. The first match counts.
CHANGES = (
    (r"the extension is not built", "install a wheel, or install again with a C compiler"),
    (r" is validated by ", "express it in the field's type (Field(ge=…), max_length, pattern, Literal, an Enum), or check it "
                           "before you set the field: your own validator runs in Python"),
    (r"^__init__ is its own|^__new__ is its own|its metaclass makes", "make instances by a class method or a function, and leave "
                                                                     "the class's own __init__, __new__ and metaclass alone"),
    (r"an __init__ beside MongoEngine's|a way of its own to its attributes|slots of its own", "remove the method, or the slots, "
                                                                                            "from the class"),
    (r"model_post_init is its own", "use default_factory for the fields and private attributes that it sets"),
    (r"back links are filled in", "remove the BackLink from the model and query the other side"),
    (r"its default is validated", "remove validate_default, and give a valid default"),
    (r"made from the other fields|made from the fields", "give the field a default that does not use other fields"),
    (r"errors in it are not raised", "remove on_error from the field's schema"),
    (r"more than one alias", "give the field one alias"),
    (r"the name of the first parameter of __init__", "rename the field, and keep its stored name as alias"),
    (r"extra fields have a type", "remove the annotation of __pydantic_extra__"),
    (r"a root model|its schema begins with|its schema is of another class", "store the value as a field of an ordinary model"),
    (r"its configuration sets ", "remove the setting from model_config, or express it in the field's type"),
    (r"bson_encoders", "give the fields types with the right stored form, without Settings.bson_encoders"),
    (r"two fields are stored under one name", "give each field its own name in the collection"),
    (r"null byte", "remove the null byte from the alias"),
    (r"is stored as _id", "store exactly one field as _id"),
    (r"type_registry", "use the client's ordinary codec options for the collection"),
    (r"^_fields_ordered|^STRICT|is not its field's", "do not change the attributes that MongoEngine makes"),
    (r"dynamic fields", "use Document instead of DynamicDocument, with a DictField for open fields"),
    (r"a field makes its own values", "use ObjectIdField, or give the number when the document is made"),
    (r"clean\(\) runs in Python", "nothing: clean() is your own code and must run"),
    (r" is its own", "remove the method from the class"),
    (r"cannot be", "correct the fault that the error names"),
    (r"a plain model", "nothing: the application writes it separately, and the proxy checks it"),
)


@dataclass(frozen=True)
class Assessment:
    """The mode of one model under offload."""

    model: str
    ns: str
    mode: str
    reasons: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """The change that `full` requires."""
        if self.mode == FULL:
            return ()
        return tuple(dict.fromkeys(change_for(reason) for reason in self.reasons))

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.model, "ns": self.ns, "mode": self.mode, "reasons": list(self.reasons),
                "changes": list(self.changes), "notes": [asdict(note) for note in self.notes]}

    def __str__(self) -> str:
        return "\n".join([f"{self.model} ({self.ns}): {self.mode}", *(f"  because {reason}" for reason in self.reasons),
                          *(f"  for full: {change}" for change in self.changes),
                          *(f"  stays with Python: {note}" for note in self.notes)])


def change_for(reason: str) -> str:
    return next((change for pattern, change in CHANGES if re.search(pattern, reason)), "change the part that the reason names")


def name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def assess(targets: Iterable[str], database: str | None) -> list[Assessment]:
    """In the order of the targets of `mongosluice export`."""
    found = list(dict.fromkeys(one for target in targets for one in read_target(target)))
    beanies = assess_beanie([cls for cls, _ in found if is_beanie(cls)], database or DEFAULT_DATABASE)
    out = []
    for cls, ns in found:
        if cls in beanies:
            out.append(beanies[cls])
        elif is_mongoengine(cls):
            out.append(assess_mongoengine(cls, database or DEFAULT_DATABASE))
        else:
            exported = export_model(cls, ns, database)
            out.append(Assessment(name_of(cls), exported.ns, OFF, ("it is a plain model",), exported.notes))
    return out


def assess_mongoengine(cls: Any, database: str) -> Assessment:
    from mongosluice.offload.mongoengine.patches import plan_of

    plan, exported = plan_of(cls), export_model(cls, None, database)
    return Assessment(name_of(cls), exported.ns, plan.mode, tuple(plan.reasons), exported.notes)


def assess_beanie(classes: list[Any], database: str) -> dict[Any, Assessment]:
    if not classes:
        return {}
    from mongosluice.offload.beanie import patches, plans

    patches.uninstall()  # asks no server about enforcement
    with Importing(", ".join(map(name_of, classes)), "initialised"):
        asyncio.run(initialise(classes, database))
    namespaces, failed = plans.exported_namespaces(classes)
    found = {}
    for cls in classes:
        ns = plans.namespace_of(cls)
        if ns in failed:
            found[cls] = Assessment(name_of(cls), ns, OFF, (failed[ns],))
            continue
        notes = tuple(note for note in namespaces[ns].notes if note.model == cls.__name__)
        try:
            plan = attempted(f"{cls.__name__} cannot be planned", plans.make_plan, cls, namespaces[ns])
        except Failed as reason:
            found[cls] = Assessment(name_of(cls), ns, OFF, (str(reason),), notes)
            continue
        found[cls] = Assessment(name_of(cls), ns, FULL if plan.builds else ENCODE_ONLY, tuple(plan.reasons), notes)
    return found


async def initialise(classes: list[Any], database: str) -> None:
    """Does the work of init_beanie without a server; sends nothing."""
    from beanie import init_beanie
    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.database import AsyncDatabase

    class Unasked(AsyncDatabase[Any]):
        async def command(self, *_: Any, **__: Any) -> Any:
            return {"version": "8.0.0"}

        async def list_collection_names(self, *_: Any, **__: Any) -> list[str]:
            return []

        async def create_collection(self, name: str, *_: Any, **__: Any) -> Any:
            return self[name]

    unions = {cls.Settings.union_doc for cls in classes if getattr(getattr(cls, "Settings", None), "union_doc", None)}
    client: AsyncMongoClient[Any] = AsyncMongoClient(connect=False)
    async with client:
        models: list[Any] = [*unions, *classes]
        await init_beanie(database=Unasked(client, database), document_models=models, skip_indexes=True)
