"""MongoEngine with and without offload, through a proxy that enforces the exported schemas."""

import datetime
import decimal
import uuid

import bson
import pytest

mongoengine = pytest.importorskip("mongoengine")

import mongoengine as me  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from mongoengine.connection import disconnect  # noqa: E402
from pymongo import monitoring  # noqa: E402
from pymongo.errors import BulkWriteError, WriteError  # noqa: E402

import mongosluice  # noqa: E402
from conftest import examples, switch_off  # noqa: E402
from mongosluice.offload.mongoengine import patches, plans  # noqa: E402
from mongosluice.offload.mongoengine.extension import native  # noqa: E402


class Item(me.EmbeddedDocument):
    sku = me.StringField(required=True, regex=r"^[A-Z]{2}\d{4}$")
    qty = me.IntField(min_value=1, max_value=99)
    price = me.FloatField(min_value=0)


class Order(me.Document):
    number = me.StringField(required=True, min_length=2, max_length=10, db_field="no")
    items = me.ListField(me.EmbeddedDocumentField(Item))
    first = me.EmbeddedDocumentField(Item)
    note = me.StringField(null=True)
    tags = me.ListField(me.StringField(max_length=5))
    ratio = me.FloatField()
    paid = me.BooleanField(default=False)
    at = me.DateTimeField()
    total = me.DecimalField()
    big = me.LongField()
    token = me.UUIDField(binary=True)
    kind = me.StringField(choices=["a", "b"])
    bag = me.DictField()
    any = me.DynamicField()
    link = me.ReferenceField("self")
    meta = {"collection": "orders"}


class Animal(me.Document):
    name = me.StringField()
    meta = {"allow_inheritance": True, "collection": "animals"}


class Dog(Animal):
    tricks = me.IntField()


class Named(me.Document):
    name = me.StringField(primary_key=True)
    n = me.IntField()
    meta = {"collection": "named"}


class Cleaned(me.Document):
    n = me.IntField()

    def clean(self):
        if self.n == 13:
            raise me.ValidationError("unlucky")


ITEM = st.builds(Item, sku=st.from_regex(r"\A[A-Z]{2}[0-9]{4}\Z"), qty=st.none() | st.integers(1, 99),
                 price=st.none() | st.floats(0, 1e9))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUES = {
    "number": TEXT.filter(lambda v: len(v) >= 2), "items": st.lists(ITEM, max_size=3), "first": st.none() | ITEM,
    "note": st.none() | TEXT, "tags": st.lists(TEXT, max_size=3), "ratio": st.none() | st.floats() | st.integers(-5, 5),
    "paid": st.booleans(), "at": st.none() | st.datetimes(datetime.datetime(1970, 1, 2)) | st.dates(datetime.date(1970, 1, 2)),
    "total": st.none() | st.decimals(-99, 99, places=2), "big": st.none() | st.integers(-(2**63), 2**63 - 1),
    "token": st.none() | st.uuids(), "kind": st.sampled_from([None, "a", "b"]),
    "bag": st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9), max_size=2), "any": st.none() | TEXT | st.integers(0, 9),
    "link": st.none(), "id": st.none() | st.binary(min_size=12, max_size=12).map(bson.ObjectId),
}
WRONG = st.sampled_from([None, 5, "", "toolongtoolong", 3.5, -1, [], {"a": 1}, True, b"x", object()])


@pytest.fixture
def connected(proxy, direct):
    me.connect(direct.name, host=proxy.uri, uuidRepresentation="standard")
    schemas = [mongosluice.export(cls, database=direct.name) for cls in (Order, Animal, Named, Cleaned)]
    proxy.enforce(*schemas)
    yield direct
    switch_off()
    proxy.forget(*schemas)
    for cls in (Order, Animal, Dog, Named, Cleaned):
        cls._collection = None
    disconnect()


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except me.ValidationError as error:
        return repr(error.to_dict())
    except Exception as error:  # of choices and values that cannot be compared
        return repr(type(error))


@settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.fixed_dictionaries(VALUES), spoilt=st.sampled_from(sorted(VALUES)), wrong=WRONG)
def test_the_same_bytes_and_verdicts(values, spoilt, wrong, validator):
    """What a document is converted to, and whether it is valid; also with one value spoilt."""
    if native is None:
        pytest.skip("the extension is not built")
    engine = plans.engine_of(Order)
    options = bson.CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)
    for more in ({}, {spoilt: wrong}):
        try:
            document = Order(**{**values, **more})
        except Exception:  # MongoEngine itself does not take it
            continue
        alone = outcome(Order.validate, document)
        assert outcome(patches.validate_with, engine, document, True) == alone
        try:
            stored = bson.encode(document.to_mongo(), codec_options=options)
        except Exception:
            continue
        encoded = engine.encode(document, True, lambda value: bson.encode({"": value}, codec_options=options))
        if encoded is None:
            continue
        ours = bson.decode(encoded.raw, options)
        if document.id is None:
            ours.pop("_id")
        assert bson.encode(ours, codec_options=options) == stored
    exported = mongosluice.export(Order, database="x")
    good = Order(**values)
    notes = {note.field.split(".")[0].split("[")[0] for note in exported.notes}
    assert notes == {"bag"}
    document = {"_id": bson.ObjectId(), **good.to_mongo()}
    assert validator(exported, bson.encode(document, codec_options=options)) or outcome(Order.validate, good)


def test_a_failing_exporter_leaves_its_model_to_mongoengine(connected, monkeypatch):
    class Strange(Exception):
        pass

    def failing(cls, name):
        raise Strange("something else")

    if native is None:
        pytest.skip("the extension is not built")
    monkeypatch.setattr(patches, "export_engine", failing)
    mongosluice.offload(require=True)
    with pytest.warns(mongosluice.OffloadWarning, match="Named stays with Python: it cannot be exported: Strange"):
        Named(name="x", n=1).save()
    Named.objects.insert([Named(name="y", n=2)])
    assert connected["named"].count_documents({}) == 2
    assert [(one["mode"], one["reasons"]) for one in mongosluice.offload_report() if one["model"] == "Named"] == [
        ("off", ["it cannot be exported: Strange: something else"])]


def test_nothing_is_asked_without_a_connection(direct):
    disconnect()
    mongosluice.offload(require=True)
    try:
        Cleaned(n=1).validate()
        with pytest.raises(me.ValidationError):
            Cleaned(n=13).validate()
        assert mongosluice.offload_report() == []
    finally:
        switch_off()


def write():
    Order(number="one", at=datetime.datetime(2024, 1, 1), total=decimal.Decimal("1.25")).save()
    made = [Order(number=f"n{i}", items=[Item(sku="AB1234", qty=1, price=0.5)], tags=["x"], big=i,
                  token=uuid.UUID(int=i)) for i in range(20)]
    returned = Order.objects.insert(made)
    ids = Order.objects.insert([Order(number="ids")], load_bulk=False)
    assert ids == [Order.objects.get(number="ids").id] and all(one.pk for one in made)
    one = Order.objects.get(number="n3")
    one.tags.append("y")
    one.link = returned[0]
    one.save()
    Animal(name="cat").save()
    Animal.objects.insert([Dog(name="rex", tricks=2), Animal(name="fish")])
    Cleaned(n=1).save()
    with pytest.raises(me.ValidationError):
        Cleaned(n=13).save()
    with pytest.raises(me.ValidationError):
        Order(number="x").save()
    return [sorted(type(one).__name__ for one in Animal.objects), Order.objects.count()]


def contents(database):
    return {name: [repr({key: value for key, value in one.items() if key not in ("_id", "link")})
                   for one in database[name].find()] for name in ("orders", "animals", "cleaned")}


def test_the_same_with_offload(connected):
    alone = write(), contents(connected)
    for name in connected.list_collection_names():
        connected[name].delete_many({})
    mongosluice.offload(require=True)
    assert (write(), contents(connected)) == alone
    modes = {one["model"]: one["mode"] for one in mongosluice.offload_report()}
    if native is not None:
        assert modes == {"Order": "full", "Animal": "full", "Dog": "full", "Cleaned": "full"}


class Sent(monitoring.CommandListener):
    """What was written, as it was sent; an _id that the driver made is left out."""

    def __init__(self):
        self.given = set()
        self.commands = []

    def started(self, event):
        if event.command_name in ("insert", "update", "findAndModify"):
            self.commands.append((event.command_name, *map(self.told, event.command.get("documents", [])),
                                  self.told(event.command.get("update")), repr(event.command.get("updates"))))

    def told(self, document):
        raw = getattr(document, "raw", None) or bson.encode(document or {})
        stored = bson.decode(raw, bson.CodecOptions(document_class=bson.SON))
        return tuple((name, "made" if name == "_id" and value not in self.given else repr(value))
                     for name, value in stored.items())

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def save_in_every_way(ids):
    given = {"number": "one", "at": datetime.datetime(2024, 1, 1), "items": [Item(sku="AB1234", qty=1)]}
    without = Order(**given).save()
    assert type(without.id) is bson.ObjectId and Order.objects.get(id=without.id).items == given["items"]
    Order(id=ids[0], **given).save()
    Order(id=ids[0], **{**given, "number": "two"}).save()  # replaces it
    Order(id=ids[1], **given).save(force_insert=True)
    with pytest.raises(me.NotUniqueError):
        Order(id=ids[1], **given).save(force_insert=True)
    kept = Order.objects.get(id=ids[1])
    kept.note = "changed"
    kept.save()
    Dog(id=ids[2], name="rex", tricks=2).save()
    Dog(name="rex").save(force_insert=True)
    Named(name="a", n=1).save()
    return Order.objects.count(), Animal.objects.count(), Named.objects.get(name="a").n


def test_save_sends_the_same(connected, proxy):
    sent, ids = Sent(), [bson.ObjectId(bytes([i + 1] * 12)) for i in range(3)]
    sent.given.update(ids, ["a"])
    disconnect()
    for cls in (Order, Animal, Dog, Named):
        cls._collection = None
    me.connect(connected.name, host=proxy.uri, event_listeners=[sent], uuidRepresentation="standard")
    alone, commands = save_in_every_way(ids), list(sent.commands)
    for name in connected.list_collection_names():
        connected[name].delete_many({})
    sent.commands.clear()
    mongosluice.offload(require=True)
    assert save_in_every_way(ids) == alone and sent.commands == commands and len(commands) > 8
    if native is not None:
        encoded = plans.engine_of(Order).encode(Order(number="x"), False, patches.encode_value)
        assert "_id" not in encoded and encoded["no"] == "x"
        with pytest.raises(TypeError):
            encoded["no"] = "y"
        encoded["_id"] = 5
        assert list(encoded.items())[0] == ("_id", 5) and "_id" in encoded


def test_refusals(connected):
    mongosluice.offload(require=True)
    wrong = Order(number="fine", items=[Item(sku="AB1234", qty=1)])
    wrong.items[0].qty = 100
    with pytest.raises(me.ValidationError):
        wrong.save()
    with pytest.raises(me.OperationError) as caught:
        wrong.save(validate=False)
    assert isinstance(caught.value, WriteError) and isinstance(caught.value, mongosluice.Refused)
    assert caught.value.errors()[0]["loc"] == ("items", 0, "qty")
    with pytest.raises(me.errors.BulkWriteError) as caught:
        Order.objects.insert([Order(number="fine"), wrong])
    assert isinstance(caught.value, BulkWriteError)
    assert caught.value.errors()[0]["loc"] == (1, "items", 0, "qty")


def test_stays_off_without_a_proxy(server, direct):
    me.connect(direct.name, host=server)
    try:
        mongosluice.offload()
        with pytest.warns(mongosluice.OffloadWarning, match="reaches the server directly"):
            Cleaned(n=2).save()
        assert [one["mode"] for one in mongosluice.offload_report()] == ["off"]
        mongosluice.offload(require=True)
        patches.forget_plans()
        with pytest.raises(mongosluice.NotEnforced):
            Cleaned(n=3).save()
        assert direct["cleaned"].count_documents({}) == 1
    finally:
        switch_off()
        Cleaned._collection = None
        disconnect()


class Mail(me.EmbeddedDocument):
    mail = me.EmailField()
    site = me.URLField()
    even = me.IntField(validation=lambda value: refuse_odd(value))
    price = me.DecimalField(max_value=5)
    raw = me.BinaryField(max_bytes=2)
    word = me.StringField(regex=r"\bword")
    few = me.ListField(me.StringField(choices=["a", "b"]), max_length=2)
    needed = me.StringField(required=True, default="x")
    children = me.EmbeddedDocumentListField("Mail")


def refuse_odd(value):
    if value % 2:
        raise me.ValidationError("odd")


class Total(me.EmbeddedDocument):
    n = me.IntField()
    total = me.IntField()

    def clean(self):
        self.total = self.n * 2


class Stern(me.EmbeddedDocument):
    n = me.IntField()

    def validate(self, clean=True):
        super().validate(clean)
        if self.n == 13:
            raise me.ValidationError("unlucky", errors={"n": "unlucky"})


class Holder(me.Document):
    mail = me.EmbeddedDocumentField(Mail)
    mails = me.ListField(me.EmbeddedDocumentField(Mail))
    total = me.EmbeddedDocumentField(Total)
    totals = me.EmbeddedDocumentListField(Total)
    by_name = me.MapField(me.EmbeddedDocumentField(Total))
    stern = me.EmbeddedDocumentField(Stern)
    any = me.GenericEmbeddedDocumentField(choices=[Total, Stern])
    meta = {"collection": "holders"}


BAD_MAILS = [{"mail": "bad"}, {"site": "bad"}, {"even": 3}, {"price": 6}, {"raw": b"123"}, {"word": "sword"},
             {"few": ["a", "c"]}, {"few": ["a", "b", "a"]}, {"children": [Mail(children=[Mail(mail="bad")])]}]


@pytest.fixture
def holders(proxy, direct):
    me.connect(direct.name, host=proxy.uri, uuidRepresentation="standard")
    schema = mongosluice.export(Holder, database=direct.name)
    proxy.enforce(schema)
    mongosluice.offload(require=True)
    yield direct["holders"]
    switch_off()
    proxy.forget(schema)
    Holder._collection = None
    disconnect()


@pytest.mark.parametrize("values", BAD_MAILS, ids=lambda values: next(iter(values)))
def test_embedded_documents_are_validated(values, holders):
    for bad in (Holder(mail=Mail(**values)), Holder(mails=[Mail(), Mail(**values)])):
        with pytest.raises(me.ValidationError):
            bad.save()
    assert holders.count_documents({}) == 0


def test_embedded_documents_are_cleaned_and_validate_themselves(holders):
    Holder(total=Total(n=1), totals=[Total(n=2)], by_name={"a": Total(n=3)}, any=Total(n=4)).save()
    stored = holders.find_one()
    assert (stored["total"]["total"], stored["totals"][0]["total"], stored["by_name"]["a"]["total"],
            stored["any"]["total"]) == (2, 4, 6, 8)
    for unlucky in (Holder(stern=Stern(n=13)), Holder(any=Stern(n=13))):
        with pytest.raises(me.ValidationError):
            unlucky.save()
    assert holders.count_documents({}) == 1


def test_a_required_field_of_an_embedded_document_is_not_unset(holders):
    made = Holder(mail=Mail()).save()
    for one in (made, Holder.objects.get()):
        one.mail.needed = None
        one.mail._data["needed"] = None
        one._mark_as_changed("mail.needed")
        with pytest.raises(me.ValidationError):
            one.save()
    assert holders.find_one()["mail"]["needed"] == "x"


def test_null_of_an_update_is_let_in(connected):
    mongosluice.offload(require=True)
    Order(number="one", note="x").save()
    Order.objects.update(set__note=None, set__first=None, set__ratio=None)
    assert connected["orders"].find_one()["note"] is None and Order.objects.get().note is None


@pytest.mark.skipif(native is None, reason="the extension is not built")
def test_arguments_that_cannot_be(holders):
    for wrong in ({"self": 1}, {"nobody": 1}):
        with pytest.raises((TypeError, me.FieldDoesNotExist)) as caught:
            Holder(**wrong)
        with pytest.raises(type(caught.value)) as alone:
            patches._originals[me.base.BaseDocument, "__init__"](Holder.__new__(Holder), **wrong)
        assert str(caught.value) == str(alone.value)
    with pytest.raises(TypeError):
        Holder(1)


class Shifting(me.Document):
    name = me.StringField()
    meta = {"collection": "shifting"}


@pytest.mark.skipif(native is None, reason="the extension is not built")
def test_a_field_that_changes_is_looked_at_again():
    mongosluice.offload()
    try:
        document = Shifting(name="four")
        patches.validate_with(plans.engine_of(Shifting), document, True)
        Shifting.name.max_length = 3
        with pytest.raises(me.ValidationError):
            patches.validate_with(plans.engine_of(Shifting), document, True)
    finally:
        Shifting.name.max_length = None
        switch_off()
