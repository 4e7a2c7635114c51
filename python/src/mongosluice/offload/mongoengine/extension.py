"""The extension for MongoEngine, which may be installed without Beanie and pydantic."""

from __future__ import annotations

import datetime
import os
import sys

import bson

from mongosluice.offload.extension import native


def configure() -> None:
    """The counterpart of mongosluice.offload.beanie.encoding, if there is no Beanie."""
    if native is None or "mongosluice.offload.beanie.encoding" in sys.modules:
        return
    from collections.abc import MutableMapping

    member = bson.ObjectId.__dict__["_ObjectId__id"]
    native.configure(
        object_id=bson.ObjectId, object_id_member=member, classify=lambda cls: native.KIND_GIVE_UP,
        raw=lambda value: bson.encode({"": value}), decode=bson.decode, int64=bson.Int64, utc=datetime.timezone.utc,
        fields_set=member, extra=member, private=member,  # for pydantic models, which do not occur here
    )
    MutableMapping.register(native.Encoded)
    native.reset_ids(os.urandom(5), int.from_bytes(os.urandom(3), "big"))
    os.register_at_fork(after_in_child=lambda: native.reset_ids(
        os.urandom(5), int.from_bytes(os.urandom(3), "big")))


configure()
