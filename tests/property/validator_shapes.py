"""Schemas in the shapes of published validators: their combinations of keywords, depths and frequencies. The names
and values are this project's own."""

OBJECT, STRING, INT, DATE, BOOL, ID = ({"bsonType": name} for name in
                                       ("object", "string", "int", "date", "bool", "objectId"))
EMAIL = "^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}$"


def obj(required, properties, **more):
    schema = {"bsonType": "object", "properties": properties, **more}
    if required:
        schema["required"] = required
    return schema


SHAPES = [
    # all strings, all required
    obj(["first", "last", "login", "secret"],
        {name: {"bsonType": "string", "description": "text"} for name in ("first", "last", "login", "secret")}),
    # nullable fields
    obj(["title", "released"],
        {"budget": {"bsonType": ["int", "null"]}, "page": {"bsonType": ["string", "null"]}, "title": STRING,
         "released": {"bsonType": ["date", "null"]}, "average": {"bsonType": ["double", "null"]},
         "languages": {"bsonType": ["array", "null"], "items": STRING}}),
    # enums, patterns, lengths
    obj(["openid", "created", "status"],
        {"openid": STRING, "nickname": {"bsonType": "string", "maxLength": 50},
         "avatar": {"bsonType": "string", "pattern": "^https?://"}, "gender": {"enum": [0, 1, 2]},
         "status": {"enum": [0, 1]}, "phone": {"bsonType": "string", "pattern": "^1[3-9]\\d{9}$"},
         "email": {"bsonType": "string", "pattern": "^[\\w-]+(\\.[\\w-]+)*@[\\w-]+(\\.[\\w-]+)+$"},
         "created": DATE}),
    # closed, with identifiers in text, and numbers between exclusive bounds
    obj(["_id", "tutor", "age", "weight", "active", "created"],
        {"_id": {"bsonType": "string",
                 "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
         "tutor": {"bsonType": "string", "minLength": 1, "maxLength": 128},
         "age": {"bsonType": "int", "minimum": 0, "maximum": 17},
         "weight": {"bsonType": ["double", "int", "long", "decimal"], "minimum": 0, "exclusiveMinimum": True,
                    "maximum": 200},
         "note": {"anyOf": [{"bsonType": "null"}, {"bsonType": "string", "minLength": 1, "maxLength": 500}]},
         "allergies": {"bsonType": "array", "items": {"bsonType": "string", "minLength": 1}, "uniqueItems": True,
                       "maxItems": 50},
         "active": BOOL, "created": DATE}, additionalProperties=False),
    # a point on the map
    obj(["status", "place", "reports", "severity"],
        {"status": {"enum": ["OPEN", "LOOKED AT", "DONE"]},
         "place": obj(["type", "coordinates"],
                      {"type": {"enum": ["Point"]},
                       "coordinates": {"bsonType": "array", "minItems": 2, "maxItems": 2,
                                       "items": {"bsonType": ["double", "int"]}}}),
         "reports": {"bsonType": "array", "items": ID}, "total": {"bsonType": "int", "minimum": 1},
         "severity": {"bsonType": "int", "minimum": 1, "maximum": 5}, "score": {"bsonType": ["double", "int"]}}),
    # exported by a tool: closed at every level, a long pattern
    obj([], {"_id": ID, "name": STRING, "slug": STRING,
             "images": obj([], {"thumbnail": {"bsonType": "string", "pattern":
                                "^(http:\\/\\/www\\.|https:\\/\\/www\\.|http:\\/\\/|https:\\/\\/)?[a-z0-9]+"
                                "([\\-\\.]{1}[a-z0-9]+)*\\.[a-z]{2,5}(:[0-9]{1,5})?(\\/.*)?$"}},
                           additionalProperties=False),
             "_created": DATE, "_modified": DATE}, additionalProperties=False),
    # an array of objects
    obj(["title", "text", "creator", "comments"],
        {"title": STRING, "text": STRING, "creator": ID,
         "comments": {"bsonType": "array", "items": obj(["text", "author"], {"text": STRING, "author": ID})}}),
    # a shop's products
    obj(["name", "sku", "price", "stock"],
        {"name": {"bsonType": "string", "minLength": 1, "maxLength": 200},
         "sku": {"bsonType": "string", "pattern": "^[^a-z\\s]+$", "minLength": 1, "maxLength": 64},
         "brand": {"bsonType": ["string", "null"], "maxLength": 100}, "price": {"bsonType": "decimal", "minimum": 0},
         "sale": {"bsonType": ["decimal", "null"], "minimum": 0}, "currency": {"enum": ["EUR"]},
         "stock": {"bsonType": "int", "minimum": 0},
         "tags": {"bsonType": "array", "items": {"bsonType": "string", "minLength": 1, "maxLength": 30},
                  "minItems": 0, "maxItems": 20, "uniqueItems": True}}),
    # a role in text, with an enum beside the type
    obj(["title", "type", "start", "end"],
        {"_id": ID, "title": STRING, "type": {"bsonType": "string", "enum": ["show", "tour", "workshop"]},
         "start": DATE, "end": DATE, "capacity": INT, "price": {"bsonType": "double"}, "free": BOOL,
         "animals": {"bsonType": "array", "items": ID}}),
    # the manual's example
    obj(["name", "year", "major", "address"],
        {"name": STRING, "year": {"bsonType": "int", "minimum": 2017, "maximum": 3017},
         "major": {"enum": ["Math", "English", "Science", None]}, "gpa": {"bsonType": ["double"]},
         "address": obj(["city"], {"street": STRING, "city": STRING})}, title="student"),
    # `type` instead of bsonType
    {"type": "object", "required": ["name", "qty"],
     "properties": {"name": {"type": "string"}, "qty": {"type": "number", "minimum": 0, "multipleOf": 1},
                    "dims": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
                    "open": {"type": "boolean"}, "meta": {"type": "object"}}},
    # alternatives by a field
    {"bsonType": "object", "required": ["kind"], "oneOf": [
        obj(["kind", "card"], {"kind": {"enum": ["card"]}, "card": {"bsonType": "string", "pattern": "^\\d{16}$"}}),
        obj(["kind", "iban"], {"kind": {"enum": ["transfer"]},
                               "iban": {"bsonType": "string", "pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$"}}),
        obj(["kind"], {"kind": {"enum": ["cash"]}})]},
    # one of two contacts
    {"bsonType": "object", "properties": {"name": STRING, "email": {"bsonType": "string", "pattern": EMAIL},
                                          "phone": {"bsonType": "string", "pattern": "^\\+?[0-9]{7,15}$"}},
     "anyOf": [{"required": ["email"]}, {"required": ["phone"]}]},
    # conditions by dependencies, and one by not
    obj(["title"], {"title": STRING, "body": STRING, "published": DATE, "publisher": ID, "draft": BOOL},
        dependencies={"published": ["publisher"]}, **{"not": {"required": ["published", "draft"]}}),
    # named by a pattern
    obj(["site"], {"_id": {}, "site": STRING},
        patternProperties={"^day_[0-9]{2}$": {"bsonType": "double", "minimum": 0},
                           "^note_": {"bsonType": "string", "maxLength": 100}}, additionalProperties=False),
    # a map of values
    obj(["en"], {"_id": {}, "en": STRING}, additionalProperties={"bsonType": ["string", "null"]}, minProperties=2,
        maxProperties=40),
    # deep
    obj(["customer", "state", "usage"],
        {"_id": ID, "customer": INT, "state": {"bsonType": "string", "enum": ["pending", "running", "done"]},
         "usage": obj(["tokens", "cost", "limit"],
                      {"tokens": obj(["prompt", "total"], {"prompt": {"bsonType": "int", "minimum": 0},
                                                           "total": {"bsonType": "int", "minimum": 0}}),
                       "cost": {"bsonType": ["double", "int"], "minimum": 0}, "limit": INT}),
         "steps": {"bsonType": "array", "items": obj(["at", "by"], {
             "at": DATE, "by": ID, "parts": {"bsonType": "array", "items": obj(["n"], {"n": INT})}})}}),
    # geometry and tuples
    obj(["route"], {"route": {"bsonType": "array", "items": [{"bsonType": "double", "minimum": -180, "maximum": 180},
                                                             {"bsonType": "double", "minimum": -90, "maximum": 90}],
                              "additionalItems": False, "minItems": 2}}),
    # allOf
    {"allOf": [obj(["name"], {"name": STRING}), obj(["age"], {"age": {"bsonType": "int", "minimum": 18}})]},
    # many fields
    obj(["loan", "customer", "kind", "amount", "rate", "months", "applied", "status"],
        {"loan": STRING, "customer": STRING, "branch": STRING, "kind": {"enum": ["home", "car", "study"]},
         "amount": {"bsonType": "double", "minimum": 0}, "rate": {"bsonType": "double", "minimum": 0, "maximum": 100},
         "months": {"bsonType": "int", "minimum": 1}, "applied": DATE, "approved": {"bsonType": ["date", "null"]},
         "paid": {"bsonType": ["date", "null"]}, "monthly": {"bsonType": ["double", "null"]},
         "balance": {"bsonType": ["double", "null"]}, "due": {"bsonType": ["date", "null"]},
         "status": {"enum": ["pending", "approved", "closed", "refused"]}}),
    # binary data, regular expressions, timestamps
    obj(["file", "hash"], {"file": {"bsonType": "binData"}, "hash": {"bsonType": "string", "minLength": 64,
                                                                     "maxLength": 64},
                           "rule": {"bsonType": "regex"}, "at": {"bsonType": "timestamp"},
                           "size": {"bsonType": ["int", "long", "double"], "minimum": 0}}),
    # a reference number, and a case-insensitive pattern
    obj(["ref", "code"], {"ref": {"bsonType": "string", "pattern": "^TXN-\\d{8}-[A-Z0-9]{8}$"},
                          "code": {"bsonType": "string", "pattern": "(?i)^[a-z]{2}-[0-9]+$"},
                          "password": {"bsonType": "string", "minLength": 8,
                                       "pattern": "^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d).+$"}}),
]
