#!/usr/bin/env python3
"""Writes plays of the fuzz targets session, session_shared and session_verified into tests/fuzz/corpus: each kind of
message with each kind of answer, and longer stories. Needs only Python. The numbers are those of session_fuzz.c,
rig_commands.h and session_rig.h."""

import pathlib
import re

HERE = pathlib.Path(__file__).parent
SEND, SEND_PART, SERVE, LEAVE, CONTROL = 0, 2, 4, 6, 7
RIGHT, ERROR, WRITE_ERROR, TO_NOBODY, TWICE, CUT, HANGUP = 0, 1, 2, 3, 4, 6, 7
LOGIN, WRONG_LOGIN = 128, 250


def names(file, prefix):
    """The names of an enum, in their order."""
    found = re.findall(rf"^    ({prefix}\w*),?\s*(?:/\*.*)?$", (HERE / file).read_text(), re.M)
    return {name.removeprefix(prefix).lower(): i for i, name in enumerate(found)}


KINDS = names("rig_commands.h", "MESSAGE_")
EVENTS = names("session_rig.h", "RIG_")
EVENTS = {name: i for i, name in enumerate(list(EVENTS)[list(EVENTS).index("pause"):])}


def send(kind, number=70, client=0, move=SEND):
    return bytes([move + 8 * client, KINDS[kind], number])


def serve(how=RIGHT, where=0):
    return bytes([SERVE, how, where >> 8, where & 255])


def control(event, client=0):
    return bytes([CONTROL + 8 * client, event if isinstance(event, int) else EVENTS[event]])


def leave(client=0, reset=False):
    return bytes([LEAVE + 8 * client + (0x80 if reset else 0)])


ENTER = send("hello_first") + serve() + send("ping") + serve() * 2


def plays():
    for kind in KINDS:
        yield f"kind_{kind}", ENTER + send(kind, 1) + serve(where=1) * 2 + send(kind, 5) + serve(ERROR) * 2 + serve()
    for how in (WRITE_ERROR, TO_NOBODY, TWICE, CUT, HANGUP):
        for kind in ("insert", "insert_mixed", "bulk_mixed", "get_more_of_server", "hello_awaited"):
            yield f"answer_{how}_{kind}", ENTER + send(kind, 2) + serve(how, 3) + serve() * 2
    three = b"".join(send("insert", client=client) for client in range(4))
    yield "merge_three", ENTER + three + serve() + three + serve() * 2
    numbered = send("insert_retryable", 4) + send("insert_retryable", 5, 1) + send("insert_retryable", 6, 2)
    yield "merge_retry", numbered * 2 + serve(HANGUP) + send("insert_retryable", 4, 3) + serve() * 3
    yield "merge_lost", three + serve(CUT) + three + serve(ERROR) + serve() * 2
    yield "merge_traced", three + send("find_traced") + serve() * 2 + three + serve() * 3
    begin, go_on = send("update_in_transaction", 4), send("update_in_transaction", 0)
    yield "transaction", ENTER + begin + serve() * 2 + go_on + serve() + send("commit", 4) + serve() * 2
    yield "transaction_paused", (begin + serve() + control("pause") + send("insert_refused", 4) + send("ping", client=1) + serve()
                                 + send("abort", 4) + serve() + control("resume") + serve())
    yield "bulk_results", (ENTER + send("bulk_mixed", 1) + serve(where=10) * 2 + send("get_more", 9) + serve() * 2 + send("kill_cursors")
                           + serve())
    yield "bulk_refused", ENTER + send("bulk_write") + serve() + send("bulk_mixed_silent", 2) + serve(where=2) * 2
    yield "observe", ENTER + three + control("observe") + serve() + send("status_names") + send("status") + control("observe")
    yield "schemas", ENTER + send("insert_mixed") + control("schemas") + serve() + send("create") + control("schemas") + serve() * 2
    yield "no_server", control("no_server") + ENTER + send("insert", client=1) + control("no_server") + send("ping", client=2) + serve() * 3
    yield "stream", ENTER + send("hello_stream") + serve() * 2 + send("ping") + serve() + leave()
    yield "awaited", ENTER + send("hello_awaited") + serve() * 3 + send("ping", client=1) + serve()
    yield "tailable", ENTER + send("tailable") + serve() * 2 + send("get_more_of_server") + control("observe") + leave() + serve() * 2
    yield "in_parts", b"".join(send(kind, move=SEND_PART) + b"\x80" for kind in ("insert", "bulk_mixed", "compressed")) + serve() * 2
    yield "login", control(LOGIN) + serve() * 3 + send("ping") + serve() * 4 + send("insert") + serve() * 2 + control("observe")
    yield "login_two", (control(LOGIN) + control(LOGIN, 1) + serve() * 3 + send("insert") + send("insert", client=1) + serve() * 4
                        + send("status") + leave() + send("ping", client=1) + serve() * 2)
    yield "login_wrong", control(WRONG_LOGIN) + serve() + send("ping") + serve() * 2
    yield "login_again", (control(LOGIN) + send("ping") + serve() * 4 + control("forget_user") + control(LOGIN, 1)
                          + control("answer_verifiers") + send("ping", client=1) + serve() * 3)
    yield "login_unknown", send("sasl_start") + control("answer_verifiers") + send("sasl_continue") + control("fail_verifiers") + serve()
    yield "login_away", (control("forget_user") + send("hello_first") + control("fail_verifiers") + control(LOGIN)
                         + control("fail_verifiers") + serve() * 2)
    yield "login_refused", control(LOGIN) + send("ping") + serve(ERROR) * 3 + send("ping") + serve(HANGUP) + serve() * 2
    yield "logout", control(LOGIN) + send("ping") + serve() * 4 + send("logout") + serve() * 2 + send("ping") + serve() * 2
    yield "users", ENTER + send("create_user") + serve() * 2 + send("drop_user") + serve() * 2 + control("answer_verifiers")
    yield "limits", b"".join(send("hello_first", client=client) + serve() for client in range(4)) + b"".join(
        send("insert_mixed", client=client) for client in range(4)) * 3 + serve() * 3
    for i in range(0, 12, 3):
        yield f"memory_{i}", control(64 + i) + send("insert_mixed") + control(64 + i) + serve() + control(65 + i) + three + serve() * 2
        yield f"memory_login_{i}", (control(64 + i) + send("hello_first") + serve() + control(LOGIN) + control(66 + i) + serve() * 2
                                    + send("ping") + serve() * 2)
    yield "no_room", ENTER + control("no_room") + three + send("bulk_mixed") + serve() * 2 + control("no_room") + three + serve()
    yield "time", ENTER + send("insert") + control("time") + serve() + control("time") + send("ping", client=1) + control("time") + serve()
    yield "time_login", control(LOGIN) + send("ping") + control("time") + serve() * 2 + send("sasl_start", client=1) + control("time") * 2
    yield "time_paused", ENTER + control("pause") + send("find_traced") + control("time") * 3 + control("resume") + serve()
    yield "time_part", send("insert", move=SEND_PART)[:-1] + b"\x40" + control("time") * 3 + serve()
    yield "few_clients", control("merge_off") + b"".join(send("hello_first", client=client) + serve() for client in range(4)) + serve()
    yield "leave_all", three + leave(1) + leave(2, True) + serve() + leave()


for target in ("session", "session_shared", "session_verified"):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, play in plays():
        if target == "session_verified" or not name.startswith(("login", "limits", "users", "time", "few")):
            (folder / name).write_bytes(play)
