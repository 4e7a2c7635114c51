"""The documents as MongoEngine's."""

import mongoengine as me


class EngineUser(me.Document):
    name = me.StringField(required=True)
    email = me.StringField(required=True)
    age = me.IntField(required=True, min_value=0, max_value=150)
    city = me.StringField(required=True)
    score = me.FloatField(required=True)
    created_at = me.DateTimeField(required=True)
    meta = {"collection": "engine_user"}


class EngineCustomer(me.EmbeddedDocument):
    name = me.StringField(required=True, min_length=1, max_length=60)
    email = me.StringField(required=True)
    city = me.StringField(required=True)
    vip = me.BooleanField(required=True)


class EngineLine(me.EmbeddedDocument):
    sku = me.StringField(required=True)
    qty = me.IntField(required=True, min_value=1, max_value=99)
    price = me.FloatField(required=True, min_value=0)


class EngineOrder(me.Document):
    order_no = me.StringField(required=True)
    status = me.StringField(required=True)
    customer = me.EmbeddedDocumentField(EngineCustomer)
    items = me.ListField(me.EmbeddedDocumentField(EngineLine), required=True)
    total = me.FloatField(required=True)
    note = me.StringField(max_length=200)
    placed_at = me.DateTimeField(required=True)
    meta = {"collection": "engine_order"}

    def __init__(self, *args, customer=None, items=None, **values):
        if isinstance(customer, dict):
            customer = EngineCustomer(**customer)
        if items and isinstance(items[0], dict):
            items = [EngineLine(**line) for line in items]
        super().__init__(*args, customer=customer, items=items, **values)
