"""What MongoEngine's models become as schemas: no note without a document that shows it."""

import datetime
import decimal
import enum
import math
import re

import bson
import pytest

pytest.importorskip("mongoengine")
import mongoengine as me

import mongosluice
from mongosluice.export.python_patterns import matched_at_start


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Part(me.EmbeddedDocument):
    name = me.StringField(required=True)


class OtherPart(me.EmbeddedDocument):
    size = me.IntField()


class Checked(me.EmbeddedDocument):
    n = me.IntField()

    def clean(self):
        if self.n == 13:
            raise me.ValidationError("unlucky")


class Nested(me.EmbeddedDocument):
    text = me.StringField(max_length=3)
    child = me.EmbeddedDocumentField("self")


class Named(me.Document):
    name = me.StringField(primary_key=True)


class Abstract(me.Document):
    meta = {"abstract": True}


class Post(Abstract):
    title = me.StringField()


class Comment(me.Document):
    text = me.StringField()


class Even(me.fields.BaseField):
    def validate(self, value):
        if value % 2:
            self.error("odd")


class Words(me.StringField):
    def to_mongo(self, value):
        return value.split()


def positive(value):
    if value < 0:
        raise me.ValidationError("negative")


def model_of(field):
    return type("Exported", (me.Document,), {"f": field, "meta": {"collection": "exported"}})


def accepted_by_model(cls, value):
    """Whether a document that holds this in the database can be read and is valid."""
    try:
        cls._from_son({"_id": bson.ObjectId(), "f": value}).validate()
    except (me.ValidationError, me.errors.InvalidDocumentError, decimal.InvalidOperation, TypeError):
        return False
    return True


def stored(cls, value):
    return bson.encode({"_id": bson.ObjectId(), **cls(f=value).to_mongo()})


ID = bson.ObjectId(b"123456789012")
# field, kind of its note, a document's value that the schema lets in and the model does not
NOTES = [
    (me.EmailField(), "validator", "nobody"),
    (me.URLField(), "validator", "nowhere"),
    (me.IntField(validation=positive), "validator", -1),
    (me.StringField(regex=r"\bword"), "pattern", "nothing"),
    (me.StringField(regex=re.compile("x", re.IGNORECASE)), "pattern", "y"),
    (me.BinaryField(max_bytes=2), "bound", b"123"),
    (me.DecimalField(min_value=decimal.Decimal("0.004")), "bound", 0.0),
    (me.DecimalField(force_string=True), "type", "no number"),
    (me.Decimal128Field(max_value=decimal.Decimal("1." + "1" * 40)), "bound", None),
    (me.UUIDField(binary=False), "type", "no UUID"),
    (me.EmbeddedDocumentField(Checked), "validator", {"n": 13}),
    (me.EmbeddedDocumentField(Part, choices=[OtherPart]), "validator", {"name": "x"}),
    (me.GenericEmbeddedDocumentField(), "type", {"_cls": "Part"}),
    (me.PointField(), "type", {"type": "Point", "coordinates": ["x", 1]}),
    (me.DictField(), "key", {"a": {"$b": 1}}),
    (me.DictField(me.DynamicField()), "key", {"a": {"$b": 1}}),
    (Even(), "type", 3),
]


@pytest.mark.parametrize(("field", "kind", "value"), NOTES, ids=lambda one: type(one).__name__)
def test_each_note_has_a_document(field, kind, value, validator):
    cls = model_of(field)
    exported = mongosluice.export(cls, database="x")
    assert kind in [note.kind for note in exported.notes]
    if value is None:  # 34 digits cannot say it: the nearest decimal is on the other side of the bound
        return
    assert validator(exported, {"_id": ID, "f": value})
    assert not accepted_by_model(cls, value)


# field, values that the model takes and stores, stored values that it refuses
WITHOUT_NOTES = [
    (me.StringField(regex=r"^\d+$", max_length=4), ["12", "12\n", "٣"], ["x", "1 ", "12345"]),
    (me.StringField(regex=r"^[^\s@]+@[^\s@]+$"), ["a@b"], ["a@", "a b@c", "\x1c@a", "a@b@c"]),
    (me.StringField(choices=["a", "b"]), ["a"], ["c"]),
    (me.StringField(choices=(("a", "A"), ("b", "B"))), ["b"], ["A"]),
    (me.IntField(choices=[1, 2]), [1, True], [3]),
    (me.FloatField(choices=[1, 2.5]), [1, 2.5], [3.5]),
    (me.DateTimeField(choices=[datetime.datetime(2020, 1, 1)]), [datetime.datetime(2020, 1, 1)],
     [datetime.datetime(2020, 1, 2)]),
    (me.EnumField(Colour), [Colour.RED, "blue"], ["green"]),
    (me.EnumField(Level, choices=[Level.LOW]), [Level.LOW, 1], [2]),
    (me.ListField(me.EnumField(Colour)), [[Colour.RED], []], [["green"]]),
    (me.ListField(me.StringField(), choices=["a", "b"]), [["a", "b"], []], [["a", "c"]]),
    (me.ListField(me.IntField(), max_length=2, required=True), [[1, 2]], [[1, 2, 3], []]),
    (me.DictField(me.IntField(), required=True), [{"a": 1}], [{}, {"$a": 1}]),
    (me.MapField(me.DictField(me.StringField())), [{"a": {"b": "$"}}, {}], [{"a": {"$b": "c"}}, {"$a": {}}]),
    (me.DictField(me.ListField()), [{"a": [{"$b": 1}]}], [{"$a": []}]),
    (me.FloatField(min_value=0, max_value=2), [0, 1.5, math.nan], [-1.0, 2.1]),
    (me.IntField(min_value=-3, max_value=3), [3], [4, -4]),
    (me.LongField(), [2**40], ["x"]),
    (me.DecimalField(min_value=1, max_value=decimal.Decimal("9.5")), [1, "9.50", decimal.Decimal(2)], [0.99, 9.51]),
    (me.DecimalField(), [1.5], []),
    (me.Decimal128Field(min_value=0, max_value=decimal.Decimal("1.5")), [0, decimal.Decimal("1.50")],
     [bson.Decimal128("-1"), bson.Decimal128("1.51")]),
    (me.GenericEmbeddedDocumentField(choices=[Part, OtherPart]), [Part(name="x"), OtherPart(size=1)],
     [{"_cls": "Part"}, {"_cls": "OtherPart", "size": "x"}]),
    (me.GenericReferenceField(choices=(Post,)), [Post(id=ID)], [{"_cls": "Comment", "_ref": bson.DBRef("comment", ID)}]),
    (me.GenericReferenceField(choices=("Post",)), [Post(id=ID)], [{"_cls": "Comment", "_ref": bson.DBRef("comment", ID)}]),
    (me.GenericReferenceField(), [Post(id=ID), Comment(id=ID), bson.DBRef("comment", ID)], []),
    (me.ListField(me.GenericReferenceField(choices=(Post,))), [[Post(id=ID)], []],
     [[{"_cls": "Comment", "_ref": bson.DBRef("comment", ID)}]]),
    (me.GenericLazyReferenceField(choices=(Post,)), [Post(id=ID)],
     [{"_cls": "Comment", "_ref": bson.DBRef("comment", ID)}]),
    (me.ReferenceField(Abstract), [Post(id=ID)], [5]),
    (me.ReferenceField(Post), [Post(id=ID)], []),
    (me.ReferenceField(Named), [Named(name="x"), ID], []),
    (me.GeoPointField(), [[1, 2.5]], [[1], ["x", 1]]),
    (me.BinaryField(), [b"x"], ["x"]),
    (me.ComplexDateTimeField(), [datetime.datetime(2020, 1, 1)], []),
    (me.EmbeddedDocumentListField(Part), [[Part(name="x")]], [[{}]]),
    (me.EmbeddedDocumentField(Nested), [Nested(child=Nested(child=Nested(child=Nested(child=Nested(text="abc")))))],
     [{"child": {"child": {"child": {"child": {"text": "too long"}}}}}]),
]


@pytest.mark.parametrize(("field", "right", "wrong"), WITHOUT_NOTES, ids=lambda one: type(one).__name__)
def test_no_note_where_schema_and_model_agree(field, right, wrong, validator):
    cls = model_of(field)
    exported = mongosluice.export(cls, database="x")
    assert not exported.notes
    for value in right:
        cls(f=value).validate()
        assert validator(exported, stored(cls, value)), value
    for value in wrong:
        assert not validator(exported, {"_id": ID, "f": value}), value
        assert not accepted_by_model(cls, value), value


def test_null_is_accepted_where_nothing_is_required(validator):
    """As update(set__f=None) stores it."""
    for field in (me.StringField(), me.IntField(choices=[1]), me.FloatField(min_value=1), me.ListField(me.StringField()),
                  me.EmbeddedDocumentField(Part), me.ReferenceField(Abstract), me.GenericReferenceField()):
        assert validator(mongosluice.export(model_of(field), database="x"), {"_id": ID, "f": None})
    required = mongosluice.export(model_of(me.StringField(required=True)), database="x")
    assert not validator(required, {"_id": ID, "f": None})
    assert not validator(required, {"_id": None, "f": "x"})


def test_what_a_field_of_the_users_stores_is_let_in(validator):
    exported = mongosluice.export(model_of(Words()), database="x")
    assert [note.kind for note in exported.notes] == ["type"]
    assert validator(exported, stored(model_of(Words()), "two words"))


def test_integers_that_updates_store_are_let_in(validator):
    """update(set__f=5) stores an int where save() stores a long."""
    exported = mongosluice.export(model_of(me.LongField()), database="x")
    assert validator(exported, {"_id": ID, "f": 5}) and validator(exported, {"_id": ID, "f": bson.Int64(5)})


@pytest.mark.parametrize("pattern", [
    r"^\d+$", r"^[^\s@]+@[^\s@]+$", r"[\w.-]{2,}", r"(a|b)+?c\Z", r"(?=x).y", r"(?<!x)y", r"[\]\-^a-c]", r"é+\S", r"\D\W*",
    r"(?P<n>a|b)(?P=n)", r"[^\n]x|", r"a{2}.", r"\.\*"])
def test_patterns_mean_the_same(pattern, validator):
    compiled = re.compile(pattern)
    translated = matched_at_start(compiled)
    assert translated is not None
    exported = mongosluice.export(model_of(me.StringField(regex=pattern)), database="x")
    texts = ["", "1", "12\n", "12\n\n", "a@b", "x", "xy", "\nx", "y", "aa.", "aab", "bbc", "ac\n", "é\x1c", "éé", "٣", "²",
             "_", "\u180e", "\u2003", "\x85", "]-^", "word.w-", "ab", "aa", ".*", "𝟘", "\x1c@a"]
    for text in texts:
        assert validator(exported, {"_id": ID, "f": text}) == bool(compiled.match(text)), (translated, text)


@pytest.mark.parametrize("pattern", [r"\bx", r"(?i)x", r"(?m)^x", r"(?i:x)", "a{70000}"])
def test_patterns_that_are_not_translated(pattern):
    assert matched_at_start(re.compile(pattern)) is None


def test_errors_of_a_subclass_name_the_field():
    from mongosluice.errors import lines_of_info

    def rule(name, *parts):
        return {"operatorName": "properties", "propertiesNotSatisfied": [
            {"propertyName": part, "details": [{"operatorName": "minimum", "specifiedAs": {"minimum": 0},
                                                "consideredValue": -1}]} for part in (name, *parts)]}

    info = {"details": {"schemaRulesNotSatisfied": [{"operatorName": "anyOf", "schemasNotSatisfied": [
        {"index": 0, "details": [rule("_cls")]}, {"index": 1, "details": [rule("age", "size")]}]}]}}
    assert [one["loc"] for one in lines_of_info(info)] == [("age",), ("size",)]
