"""Whether a connection reaches a mongosluice that enforces the models' schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pymongo
from pymongo.errors import OperationFailure

COMMAND_NOT_FOUND = 59
ANSWER_SECONDS = 5.0
ENFORCING = ("error", "errorAndLog")


class NotEnforced(RuntimeError):
    """The connection reaches no mongosluice that enforces the model's schema."""


def question(namespaces: Iterable[str]) -> dict[str, Any]:
    return {"mongosluice": 1, "namespaces": sorted(namespaces)}


def unanswered(error: OperationFailure) -> str:
    if error.code == COMMAND_NOT_FOUND:
        return "the connection reaches the server directly, without mongosluice"
    return f"the proxy does not answer: {error}"


def verdict(answer: dict[str, Any], ns: str, wanted_hash: str) -> str | None:
    """The reason why the model is not offloaded; None if the proxy enforces its schema."""
    if not isinstance(answer.get("mongosluice"), dict):
        return "the connection reaches no mongosluice"
    found = [one for one in answer.get("schemas", []) if one.get("ns") == ns]
    if not found:
        return f"the proxy has no schema for {ns}"
    one = found[0]
    accepted = one.get("hashes", [one.get("hash")])  # an older proxy reports only one hash
    if wanted_hash not in accepted:
        others = ", ".join(f"{str(digest)[:12]}…" for digest in accepted)
        what = "accepts other versions of the schema" if len(accepted) > 1 else "enforces another schema"
        return (f"the proxy {what} for {ns} ({others}; the models make {wanted_hash[:12]}…): "
                f"run `mongosluice export` and reload the proxy")
    if one.get("level") != "strict":
        return f"the proxy's level for {ns} is {one.get('level')}, not strict"
    if one.get("action") not in ENFORCING:
        return f"the proxy's action for {ns} is {one.get('action')}: it refuses nothing"
    return None


def verdicts(answer: dict[str, Any] | OperationFailure, wanted: dict[str, str]) -> dict[str, str | None]:
    if isinstance(answer, OperationFailure):
        return dict.fromkeys(wanted, unanswered(answer))
    return {ns: verdict(answer, ns, digest) for ns, digest in wanted.items()}


async def ask(client: Any, namespaces: Iterable[str]) -> dict[str, Any] | OperationFailure:
    """For AsyncMongoClient and Motor."""
    try:
        return await client.admin.command(question(namespaces))
    except OperationFailure as error:
        return error


def ask_now(client: Any, namespaces: Iterable[str]) -> dict[str, Any] | OperationFailure:
    try:
        with pymongo.timeout(ANSWER_SECONDS):
            return client.admin.command(question(namespaces))
    except OperationFailure as error:
        return error
