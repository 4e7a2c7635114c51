"""Models that hypothesis makes up: instances, errors, bytes, what is read back and verdicts, each without and
with offload; and the exported schema against pydantic.

    pytest python/tests/test_made_models.py --models 5000 --models-seed 7"""

import asyncio
from typing import Annotated

import beanie
import bson
import pytest
from beanie import Document, Link, PydanticObjectId
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st
from pydantic import AfterValidator

import mongosluice
from compare import Compared, said
from conftest import async_client
from generated import WRONG
from made_models import Other, Target, arguments, documents


@pytest.fixture(scope="module")
def connection(server, loop):
    client = async_client(server)
    yield client["mademodels"]
    result = client.close()
    if asyncio.iscoroutine(result):
        loop.run_until_complete(result)


class Described(Document):
    other: Annotated[Link[Other], AfterValidator(str)]


def test_a_text_that_holds_an_address_is_the_same_in_each_copy(connection, loop):
    loop.run_until_complete(beanie.init_beanie(database=connection, document_models=[Other, Described], skip_indexes=True))
    references = [Link(bson.DBRef("Other", 1), document_class=Other) for _ in range(2)]
    one, another = (Described(other=reference) for reference in references)
    assert one.other != another.other
    assert said(one) == said(another)


class Identified(Document):
    other: PydanticObjectId


def test_a_new_id_is_the_same_in_each_copy(connection, loop, validator):
    loop.run_until_complete(beanie.init_beanie(database=connection, document_models=[Identified], skip_indexes=True))
    assert Compared(Identified, validator).read(bson.encode({"_id": bson.ObjectId(), "other": None})) is not None


def test_the_same(connection, loop, validator, request):
    count, first = request.config.getoption("--models"), request.config.getoption("--models-seed")

    def initialise(*classes):
        loop.run_until_complete(beanie.init_beanie(database=connection, document_models=list(classes), skip_indexes=True))

    initialise(Target, Other)

    @seed(first)
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None,
              phases=[Phase.generate], report_multiple_bugs=False)
    @given(data=st.data())
    def compare(data):
        cls, values = data.draw(documents())
        before = mongosluice.export(cls, database="mademodels")
        initialise(cls)
        compared = Compared(cls, validator)
        event(compared.mode)
        assert before.schema == compared.exported.schema
        for _ in range(2):
            made = compared.make(data.draw(arguments(cls, values)))
            if made is None:
                continue
            made.id = made.id or bson.ObjectId()
            raw = compared.write(made)
            if raw is not None:
                one(compared, raw, data)

    compare()


def one(compared, raw, data):
    """A document that the model stores, and the same spoilt in a place."""
    assert compared.accepts(raw), (bson.decode(raw), compared.exported.schema)
    if compared.read(raw) is None:
        return  # Beanie leaves nulls out that the model wants: what is stored cannot be read, spoilt or not
    document = bson.decode(raw)
    names = sorted(set(document) - {"_id", "id", "Id", "revision_id"}) or ["x"]
    for name in data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
        spoilt = bson.encode({**document, name: data.draw(WRONG)})
        read = compared.read(spoilt)
        if read is None:
            if not compared.exported.notes:
                assert not compared.accepts(spoilt), (name, bson.decode(spoilt), compared.exported.schema)
        elif compared.write(read) == spoilt:
            assert compared.accepts(spoilt), (name, bson.decode(spoilt), compared.exported.schema)
