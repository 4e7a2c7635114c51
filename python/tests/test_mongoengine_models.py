"""MongoEngine's models that hypothesis makes up, without and with offload: the same instances, errors,
verdicts, bytes and documents read. MONGOENGINE_EXAMPLES: how many (default 150); pytest prints the seed of
a failure, --hypothesis-seed repeats it."""

import copy
import datetime
import decimal
import enum
import gc
import os
import pickle
import re
import tracemalloc
import uuid

import bson
import pytest

pytest.importorskip("mongoengine")
import mongoengine as me
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mongosluice
from conftest import examples, switch_off
from mongosluice.offload.mongoengine import patches, plans
from mongosluice.offload.mongoengine.extension import native

pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")
EXAMPLES = int(os.environ.get("MONGOENGINE_EXAMPLES", examples(150)))
OPTIONS = bson.CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)
ID = bson.ObjectId(b"123456789012")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Target(me.Document):
    name = me.StringField()
    meta = {"collection": "targets"}


class Plain(me.EmbeddedDocument):
    name = me.StringField(max_length=3, db_field="n")
    size = me.IntField(default=7)


class Cleaned(me.EmbeddedDocument):
    n = me.IntField()
    total = me.IntField()

    def clean(self):
        if self.n == 13:
            raise me.ValidationError("unlucky")
        self.total = (self.n or 0) + 1


class Picky(me.EmbeddedDocument):
    mail = me.EmailField(required=True)

    def validate(self, clean=True):
        super().validate(clean)
        if self.mail == "no@example.org":
            raise me.ValidationError("not that one", errors={"mail": "no"})


class Base(me.EmbeddedDocument):
    a = me.StringField()
    meta = {"allow_inheritance": True}


class Derived(Base):
    b = me.ListField(me.IntField(min_value=0))


class Tree(me.EmbeddedDocument):
    label = me.StringField(required=True)
    children = me.EmbeddedDocumentListField("Tree", max_length=2)


class Loose(me.DynamicEmbeddedDocument):
    x = me.IntField()


class Initialised(me.EmbeddedDocument):
    n = me.IntField()

    def __init__(self, *args, **values):
        super().__init__(*args, **values)
        self.seen = self.n


class Upper(me.StringField):
    def to_python(self, value):
        return value.upper() if isinstance(value, str) else value


class Even(me.IntField):
    def validate(self, value):
        super().validate(value)
        if value % 2:
            self.error("odd")


def not_seven(value):
    if value == 7:
        raise me.ValidationError("seven")


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
ints = st.integers(-5, 120) | st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2100, 1, 1))
keys = st.text("abc$._", min_size=1, max_size=3)
plain_values = st.builds(dict, name=st.none() | text, size=st.none() | ints)
plain = plain_values.map(lambda values: ("Plain", values))
embedded = {
    "Plain": plain, "Cleaned": st.builds(dict, n=st.sampled_from([None, 1, 13])).map(lambda v: ("Cleaned", v)),
    "Picky": st.builds(dict, mail=st.sampled_from(["a@b.org", "no@example.org", "bad", None])).map(lambda v: ("Picky", v)),
    "Derived": st.builds(dict, a=st.none() | text, b=st.lists(ints, max_size=2)).map(lambda v: ("Derived", v)),
    "Tree": st.builds(dict, label=st.none() | text, children=st.lists(
        st.builds(dict, label=text).map(lambda v: ("Tree", v)), max_size=3)).map(lambda v: ("Tree", v)),
    "Loose": st.builds(dict, x=ints, y=text).map(lambda v: ("Loose", v)),
    "Initialised": st.builds(dict, n=ints).map(lambda v: ("Initialised", v)),
}
CLASSES = {cls.__name__: cls for cls in (Plain, Cleaned, Picky, Base, Derived, Tree, Loose, Initialised, Target)}
anything = st.recursive(
    st.none() | st.booleans() | ints | st.floats() | text | moments | st.just(ID),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2), max_leaves=4)

# (function that makes the field, the values that it is for)
KINDS = [
    (lambda **o: me.StringField(**o), text),
    (lambda **o: me.StringField(min_length=1, max_length=3, **o), text),
    (lambda **o: me.StringField(regex=r"^\d+$", **o), text | st.sampled_from(["1", "12\n"])),
    (lambda **o: me.StringField(choices=("a", "b"), **o), st.sampled_from(["a", "b", "c"])),
    (lambda **o: me.StringField(choices=[("a", "A"), ("b", "B")], **o), st.sampled_from(["a", "b", "A"])),
    (lambda **o: me.IntField(**o), ints),
    (lambda **o: me.IntField(min_value=0, max_value=99, **o), ints),
    (lambda **o: me.IntField(choices=(1, 2), **o), st.sampled_from([1, 2, 3, True])),
    (lambda **o: me.IntField(validation=not_seven, **o), st.sampled_from([1, 7])),
    (lambda **o: me.LongField(**o), ints),
    (lambda **o: me.FloatField(min_value=-1, max_value=1e6, **o), st.floats() | ints),
    (lambda **o: me.BooleanField(**o), st.booleans()),
    (lambda **o: me.DateTimeField(**o), moments | st.dates(datetime.date(1970, 1, 2), datetime.date(2100, 1, 1))
     | st.sampled_from(["2020-01-01", "nonsense"])),
    (lambda **o: me.DateField(**o), moments),
    (lambda **o: me.ComplexDateTimeField(**o), moments),
    (lambda **o: me.DecimalField(min_value=0, **o), st.decimals(-9, 9, places=3)),
    (lambda **o: me.Decimal128Field(max_value=5, **o), st.decimals(-9, 9, places=3)),
    (lambda **o: me.ObjectIdField(**o), st.just(ID) | st.just(str(ID)) | st.just("x")),
    (lambda **o: me.BinaryField(max_bytes=3, **o), st.binary(max_size=5)),
    (lambda **o: me.UUIDField(**o), st.uuids()),
    (lambda **o: me.UUIDField(binary=False, **o), st.uuids() | st.just("x")),
    (lambda **o: me.EnumField(Colour, **o), st.sampled_from([*Colour, "red", "green"])),
    (lambda **o: me.EnumField(Level, choices=[Level.LOW], **o), st.sampled_from([*Level, 1])),
    (lambda **o: me.EmailField(**o), st.sampled_from(["a@b.org", "bad"])),
    (lambda **o: me.URLField(**o), st.sampled_from(["http://a.org/", "bad"])),
    (lambda **o: Upper(**o), text),
    (lambda **o: Even(**o), ints),
    (lambda **o: me.DynamicField(**o), anything),
    (lambda **o: me.ListField(**o), st.lists(anything, max_size=3)),
    (lambda **o: me.ListField(me.StringField(max_length=3), max_length=2, **o), st.lists(text, max_size=3)),
    (lambda **o: me.ListField(me.IntField(), **o), st.lists(ints | st.just("5"), max_size=3)),
    (lambda **o: me.ListField(me.EnumField(Colour), **o), st.lists(st.sampled_from([*Colour, "red"]), max_size=2)),
    (lambda **o: me.ListField(me.ListField(me.IntField()), **o), st.lists(st.lists(ints, max_size=2), max_size=2)),
    (lambda **o: me.SortedListField(me.IntField(), **o), st.lists(ints, max_size=3)),
    (lambda **o: me.DictField(**o), st.dictionaries(keys, anything, max_size=2)),
    (lambda **o: me.MapField(me.IntField(max_value=9), **o), st.dictionaries(keys, ints, max_size=2)),
    (lambda **o: me.MapField(me.EmbeddedDocumentField(Plain), **o), st.dictionaries(keys, plain, max_size=2)),
    (lambda **o: me.ReferenceField(Target, **o), st.sampled_from([ID, ("Target", {"id": ID}), bson.DBRef("targets", ID)])),
    (lambda **o: me.LazyReferenceField(Target, **o), st.sampled_from([ID, ("Target", {"id": ID})])),
    (lambda **o: me.GenericReferenceField(choices=(Target,), **o), st.just(("Target", {"id": ID}))),
    (lambda **o: me.ListField(me.ReferenceField(Target), **o), st.lists(st.just(("Target", {"id": ID})), max_size=2)),
    (lambda **o: me.GenericEmbeddedDocumentField(**o), st.one_of(embedded["Plain"], embedded["Cleaned"])),
    (lambda **o: me.GenericEmbeddedDocumentField(choices=(Plain,), **o), st.one_of(embedded["Plain"], embedded["Tree"])),
    *((lambda name=name, **o: me.EmbeddedDocumentField(name, **o), values) for name, values in embedded.items()
      if name != "Derived"),
    (lambda **o: me.EmbeddedDocumentField(Base, **o), embedded["Derived"]),
    *((lambda name=name, **o: me.ListField(me.EmbeddedDocumentField(name), **o), st.lists(values, max_size=2))
      for name, values in embedded.items() if name not in ("Derived", "Loose")),
    (lambda **o: me.EmbeddedDocumentListField(Base, **o), st.lists(embedded["Derived"], max_size=2)),
]
WRONG = st.sampled_from([None, 5, -1, "", "toolongtoolong", 3.5, float("nan"), [], [None], ["x"], {}, {"a": 1}, {"$a": 1},
                         True, b"x", decimal.Decimal(1), ("Plain", {}), ("Cleaned", {"n": 13}), ID,
                         [("Plain", {"name": "toolong"})], ("x", "y"), datetime.datetime(2020, 1, 1), uuid.UUID(int=5)])


@st.composite
def specifications(draw):
    """(options of the class, [(name, kind, options of the field)], values for its fields)"""
    fields, values = [], {}
    for position, kind in enumerate(draw(st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=5))):
        name, options = f"f{position}", {}
        if draw(st.integers(0, 3)) == 0:
            options["required"] = True
        if draw(st.integers(0, 4)) == 0:
            options["db_field"] = f"s{position}"
        if draw(st.integers(0, 5)) == 0:
            options["null"] = True
        if draw(st.integers(0, 3)) == 0:
            options["default"] = draw(KINDS[kind][1])
        fields.append((name, kind, options))
        if draw(st.integers(0, 4)):
            values[name] = draw(st.none() | KINDS[kind][1] if draw(st.booleans()) else KINDS[kind][1])
    spoilt = draw(st.sampled_from(sorted(values))) if values and draw(st.integers(0, 3)) == 0 else None
    if spoilt:
        values[spoilt] = draw(WRONG)
    about = {"inherits": draw(st.booleans()), "strict": draw(st.booleans()), "cleans": draw(st.integers(0, 5)) == 0,
             "dynamic": draw(st.integers(0, 7)) == 0, "unknown": draw(st.integers(0, 9)) == 0,
             "subclass": draw(st.booleans()), "spoilt": spoilt}
    return about, fields, values


def made_up(about, fields):
    """The class; each time another of the same name."""
    body = {}
    for name, kind, options in fields:
        default = options.get("default")
        options = {**options, "default": lambda default=default: given_value(default)} if "default" in options else options
        body[name] = KINDS[kind][0](**options)
    if about["cleans"]:
        body["clean"] = clean
    body["meta"] = {"collection": "made_up", "strict": about["strict"], "allow_inheritance": about["inherits"]}
    cls = type("MadeUp", (me.DynamicDocument if about["dynamic"] else me.Document,), body)
    if about["inherits"] and about["subclass"]:
        cls = type("MadeUpMore", (cls,), {"more": me.StringField(default="more")})
    return cls


def clean(self):
    if self.f0 is None:
        raise me.ValidationError("f0 is needed")


def given_value(value):
    """Documents of their classes for what stands for them."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] in CLASSES:
        return CLASSES[value[0]](**{name: given_value(inner) for name, inner in value[1].items()})
    if isinstance(value, list):
        return [given_value(one) for one in value]
    if isinstance(value, dict):
        return {name: given_value(one) for name, one in value.items()}
    return copy.copy(value)


def told(value, depth=0):
    """All that can be seen of a value, so that two of them can be compared."""
    if isinstance(value, me.base.BaseDocument):
        slots = {name: told(getattr(value, name, "unset"), depth + 1)
                 for name in ("_initialised", "_created", "_data", "_dynamic_fields", "_changed_fields", "_cls")}
        slots["dict"] = told({name: one for name, one in value.__dict__.items() if not name.startswith("get_")}, depth + 1)
        slots["shown"] = sorted(name for name in value.__dict__ if name.startswith("get_"))
        owner = getattr(value, "_instance", "unset")
        slots["owner"] = owner if owner in (None, "unset") else type(owner).__name__ + owner._class_name
        return type(value).__name__, slots
    if isinstance(value, dict):
        return type(value).__name__, [(name, told(one, depth + 1)) for name, one in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [told(one, depth + 1) for one in list(value)]
    return type(value).__name__, repr(value)


def outcome(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except me.ValidationError as error:
        return type(error).__name__, str(error), repr(error.to_dict()), error.field_name
    except Exception as error:  # whatever it is: the other way raises the same
        return type(error).__name__, str(error)


def everything(cls, about, values):
    """What one way shows: the class made, checked, converted, read, changed and pickled."""
    seen = []
    given = {name: given_value(value) for name, value in values.items()}
    if about["unknown"]:
        given["unheard"] = 1
    seen.append(outcome(lambda: told(cls(**given))))
    document = outcome(lambda: cls(**given))
    if not isinstance(document, cls):
        return seen
    seen.append(outcome(document.validate))
    seen.append(told(document))
    seen.append(outcome(lambda: bson.encode(document.to_mongo(), codec_options=OPTIONS)))
    stored = outcome(lambda: bson.decode(bson.encode({"_id": ID, **document.to_mongo()}, codec_options=OPTIONS), OPTIONS))
    if not isinstance(stored, dict):
        return seen
    stored.update({"unheard": 2} if about["unknown"] else {})
    for options in ({}, {"created": True}, {"_auto_dereference": False}):
        seen.append(outcome(lambda options=options: told(cls._from_son(copy.deepcopy(stored), **options))))
    for name in list(stored):
        seen.append(outcome(lambda name=name: told(cls._from_son({**copy.deepcopy(stored), name: None}))))
    read = outcome(lambda: cls._from_son(copy.deepcopy(stored)))
    if isinstance(read, cls):
        seen += [outcome(read.validate), outcome(lambda: told(read._delta()))]
        for name in cls._fields_ordered:
            seen.append(outcome(lambda name=name: setattr(read, name, None)))
        seen += [read._get_changed_fields(), outcome(read.validate), outcome(lambda: told(read._delta()))]
    return seen


def without_addresses(value):
    return re.sub(r"0x[0-9a-f]+", "somewhere", repr(value))


def written(cls, values):
    """Bytes that the extension makes, and those that MongoEngine and PyMongo make."""
    document = outcome(lambda: cls(**{name: given_value(value) for name, value in values.items()}))
    if not isinstance(document, cls):
        return
    alone = outcome(lambda: bson.encode(document.to_mongo(), codec_options=OPTIONS))
    raw = lambda value: bson.encode({"": value}, codec_options=OPTIONS)  # noqa: E731
    encoded = plans.engine_of(cls).encode(document, False, raw)
    if encoded is not None:
        assert encoded.raw == alone


def judged(cls, values, validator):
    """What the model takes, its schema takes; what the schema takes and the model does not, a note tells of."""
    document = outcome(lambda: cls(**{name: given_value(value) for name, value in values.items()}))
    if not isinstance(document, cls):
        return
    stored = outcome(lambda: bson.encode({"_id": ID, **document.to_mongo()}, codec_options=OPTIONS))
    if not isinstance(stored, bytes):
        return
    is_valid = outcome(document.validate) is None
    exported = mongosluice.export(cls, database="x")
    accepted = validator(exported, stored)
    assert accepted or not is_valid, exported.text()
    if accepted and not is_valid:
        back = outcome(lambda: cls._from_son(bson.decode(stored, OPTIONS)))
        still_wrong = not isinstance(back, cls) or outcome(back.validate) is not None
        assert exported.notes or not still_wrong, exported.text()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(specification=specifications())
def test_schemas_agree_with_models(specification, validator):
    about, fields, values = specification
    cls = made_up(about, fields)
    if about["spoilt"] and any(isinstance(one, REFERENCES) for one in plans.all_within(cls._fields[about["spoilt"]])):
        return  # MongoEngine looks at no id that it is given; the schema wants one of the class that is meant
    judged(cls, values, validator)


REFERENCES = (me.ReferenceField, me.LazyReferenceField)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(specification=specifications())
def test_the_same_without_and_with_offload(specification):
    about, fields, values = specification
    me.connect("made_up", host="mongodb://127.0.0.1:1", mongo_client_class=me.connection.MongoClient, connect=False,
               serverSelectionTimeoutMS=1, alias="default")
    try:
        alone = everything(made_up(about, fields), about, values)
        mongosluice.offload()
        patches.settings.recheck_seconds = 0
        original, patches.decide = patches.decide, lambda cls, plan, exported, database: plan.mode != "off"
        try:
            cls = made_up(about, fields)
            offloaded = everything(cls, about, values)
            written(cls, values)
        finally:
            patches.decide = original
    finally:
        switch_off()
        me.disconnect("default")
    assert len(offloaded) == len(alone)
    for one, other in zip(offloaded, alone):
        assert without_addresses(one) == without_addresses(other)


def test_pickled_and_copied():
    mongosluice.offload()
    try:
        document = Target(id=ID, name="x")
        for made in (copy.deepcopy(document), copy.copy(document), pickle.loads(pickle.dumps(document))):
            assert made == document and made._data == document._data
        read = Target._from_son({"_id": ID, "name": "y"})
        read.name = "z"
        assert copy.deepcopy(read)._changed_fields == ["name"] == pickle.loads(pickle.dumps(read))._changed_fields
    finally:
        switch_off()


def test_nothing_leaks():
    mongosluice.offload()
    engine = plans.engine_of(Everything)
    values = {"name": "x", "size": 3, "part": {"n": "y"}, "parts": [Plain(name="z")], "bag": {"a": [1, {"b": 2}]},
              "colour": Colour.RED, "link": Target(id=ID), "more": "more"}

    def work():
        for _ in range(100):
            document = Everything(**values)
            read = Everything._from_son({"_id": ID, "name": "x", "part": {"n": "y"}, "parts": [{"n": "z"}], "bag": {}})
            for one in (document, read):
                patches.validate_with(engine, one, True)
                assert engine.encode(one, True, patches.encode_value) is not None
                assert one._changed_fields is not None if one is read else True
                assert one._dynamic_fields == {} and one.parts[0]._instance.name == "x"
            for wrong in ({"nobody": 1}, {"size": "x", "part": 5}):
                outcome(Everything, **wrong)
            outcome(Everything._from_son, {"_id": ID, "part": 5})
            outcome(patches.validate_with, engine, Everything(name="too long", size="x"), True)

    try:
        tracemalloc.start()
        grown = []
        for _ in range(8):  # at first Python fills what it keeps for later
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(3):
                work()
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
        assert min(grown[2:]) < 1000, grown
    finally:
        tracemalloc.stop()
        switch_off()


class Everything(me.Document):
    name = me.StringField(max_length=3)
    size = me.IntField()
    part = me.EmbeddedDocumentField(Plain)
    parts = me.EmbeddedDocumentListField(Plain)
    bag = me.DictField()
    colour = me.EnumField(Colour, default=Colour.BLUE)
    link = me.ReferenceField(Target)
    more = me.StringField()  # choices would make cycles, whose tuples Python keeps
