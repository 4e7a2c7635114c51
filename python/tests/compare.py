"""One model, without and with the extension: instances, errors, bytes, what is read back, verdicts."""

import copy
import re
import types
from unittest import mock

import bson
from beanie import Document, Link
from beanie.odm.utils.parsing import parse_obj
from pydantic import BaseModel, ValidationError

from mongosluice.offload.beanie import plans
from mongosluice.offload.beanie.encoding import INSERT, REPLACE, SET, native

BEANIE_PARSE_OBJ = parse_obj
SAME_TIME = types.SimpleNamespace(time=lambda: 5)
ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


class Compared:
    """An initialised document class, and the plan that offload makes for it."""

    def __init__(self, cls, validator):
        self.cls, self.validator = cls, validator
        namespaces, failed = plans.exported_namespaces([cls])
        assert not failed, failed
        self.exported = namespaces[plans.namespace_of(cls)]
        try:
            self.plan = plans.make_plan(cls, self.exported)
            self.reasons = self.plan.reasons
        except plans.Unplannable as reason:
            self.plan, self.reasons = None, [str(reason)]

    @property
    def mode(self):
        if self.plan is None:
            return "off"
        return "full" if self.plan.builds else "encode-only"

    def make(self, given):
        """The instance that the model makes, or None where it refuses; the same with the extension."""
        alone = outcome(lambda: self.cls(**copy.deepcopy(given)))
        if self.mode == "full":
            def ours():
                made = self.cls.__new__(self.cls)
                native.Init(plans.DOCUMENT_INIT, self.plan.shape)(made, **copy.deepcopy(given))
                return made

            assert said(outcome(ours)) == said(alone), given
        return alone if isinstance(alone, Document) else None

    def write(self, made):
        """The bytes that are inserted; the same with the extension, or it leaves them to Beanie. None where
        they cannot be stored."""
        keep_nulls = made.get_settings().keep_nulls
        for form in (INSERT, REPLACE, SET) if self.plan is not None else ():
            encoded = self.plan.shape.encode(made, form, keep_nulls)
            if isinstance(alone := outcome(lambda form=form: by_beanie(made, form)), tuple):
                assert encoded is None or native is None, alone
            elif encoded is not None:
                ours = encoded.raw if native is not None else sent(encoded, form)
                if form == INSERT and made.id is None and ours[4:9] == b"\x07_id\0":
                    ours = (len(ours) - 17).to_bytes(4, "little") + ours[21:]
                assert ours == alone, (form, bson.decode(ours), bson.decode(alone))
        alone = outcome(lambda: by_beanie(made, INSERT))
        return alone if isinstance(alone, bytes) else None

    def read(self, raw):
        """What the model makes of a stored document, or None; the same with the extension, each way."""
        document = bson.decode(raw)
        alone = outcome(lambda: BEANIE_PARSE_OBJ(self.cls, copy.deepcopy(document)))
        if self.mode == "full":
            built = outcome(lambda: self.plan.shape.build(copy.deepcopy(document)))
            if built is not None:
                assert said(built) == said(alone), document
            self.plan.shape.guard()
            assert said(self.read_batch(raw, False)) == said(alone), document
            if self.plan.projection is not None:
                projected = {name: value for name, value in document.items() if name in self.plan.projection}
                alone_projected = outcome(lambda: BEANIE_PARSE_OBJ(self.cls, projected))
                whole = bson.encode({"another": {"": [bson.MinKey()]}, **document, "$other": bson.Code("x", {"y": 1})})
                assert said(self.read_batch(whole, True)) == said(alone_projected), document
        return alone if isinstance(alone, Document) else None

    def read_batch(self, raw, is_whole):
        many = []
        ours = outcome(lambda: self.plan.shape.read_many(
            many, raw, is_whole, lambda one: BEANIE_PARSE_OBJ(self.cls, bson.decode(one)), 1))
        return many[0] if many else ours

    def accepts(self, raw):
        if b"\x07_id\0" not in raw[:9]:
            raw = bson.encode({"_id": bson.ObjectId(), **bson.decode(raw)}) if b"_id\0" not in raw else raw
        return self.validator(self.exported, raw)

    def round_trip(self, given):
        """A document that the model makes is accepted, and read as it was."""
        made = self.make(given)
        assert made is not None, given
        raw = self.write(made)
        assert self.accepts(raw), (bson.decode(raw), self.exported.schema)
        if made.id is None:
            made.id = bson.ObjectId()
            raw = self.write(made)
        return made, self.read(raw)


def by_beanie(document, form):
    """The bytes that PyMongo sends for Beanie's own dict."""
    from beanie.odm.utils.dump import get_dict

    exclude = {"_id"} if form == REPLACE else None
    made = get_dict(document, to_db=True, exclude=exclude, keep_nulls=document.get_settings().keep_nulls)
    return sent(made, form)


def sent(document, form):
    """A dict as PyMongo sends it: within $set it leaves the order as it is."""
    return bson.encode({"": document})[6:-1] if form == SET else bson.encode(document)


def outcome(make):
    """An instance, or what was raised. Each time new ids are the same: Beanie makes one of None where an id is required."""
    try:
        with mock.patch("bson.objectid.time", SAME_TIME), mock.patch.object(bson.ObjectId, "_inc", 1):
            return make()
    except ValidationError as error:
        return [(one["type"], one["loc"], ADDRESS.sub(">", one["msg"])) for one in error.errors()]
    except Exception as error:  # whatever a model's own code raises, both raise it
        return (type(error).__name__, ADDRESS.sub(">", str(error)))


def said(result):
    """An instance, with all that is in it, to be compared."""
    return shown(result) if isinstance(result, Document) else result


def shown(value):
    """A value with the types in it, since 1 == True == 1.0."""
    if isinstance(value, BaseModel):
        return (type(value).__name__, shown(value.__dict__), sorted(value.__pydantic_fields_set__),
                shown(value.__pydantic_extra__), shown(value.__pydantic_private__))
    if isinstance(value, dict):
        return type(value).__name__, [(shown(name), shown(item)) for name, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [shown(item) for item in value]
    if isinstance(value, Link):
        return "Link", value.ref, value.document_class.__name__
    # str() of a Link is its address, and each instance is made from a copy of its own.
    return type(value).__name__, ADDRESS.sub(">", repr(value))
