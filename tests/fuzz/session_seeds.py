#!/usr/bin/env python3
"""Writes plays of the fuzz targets session, session_shared and session_verified into tests/fuzz/corpus: each kind of
message with each kind of answer, and longer stories. Needs only Python. The numbers are those of session_fuzz.c,
rig_commands.h and session_rig.h."""

import pathlib
import re

HERE = pathlib.Path(__file__).parent
SEND, SEND_PART, SEND_RAW, SERVE, SERVE_RAW, LEAVE, CONTROL = 0, 2, 3, 4, 5, 6, 7
RIGHT, ERROR, WRITE_ERROR, TO_NOBODY, TWICE, CUT, HANGUP = 0, 1, 2, 3, 4, 6, 7
LOGIN, WRONG_LOGIN = 128, 250


def names(file, prefix):
    """The names of an enum, in their order."""
    found = re.findall(rf"^    ({prefix}\w*),?\s*(?:/\*.*)?$", (HERE / file).read_text(), re.M)
    return {name.removeprefix(prefix).lower(): i for i, name in enumerate(found)}


KINDS = names("rig_commands.h", "MESSAGE_")
EVENTS = names("session_rig.h", "RIG_")
EVENTS = {name: i for i, name in enumerate(list(EVENTS)[list(EVENTS).index("pause") :])}
ANSWERS = names("session_rig.h", "RIG_ANSWER_")
CODE, NONE, IN_PARTS, COMPRESSED, LEGACY, MORE, QUESTIONS, LARGE = (
    ANSWERS[name] for name in ("code", "none", "in_parts", "compressed", "legacy", "more", "questions", "large")
)
NOT_FOUND, UNAUTHORIZED, STALE = 0, 1, 2  # of the codes in rig_server.c
FAIL = 64  # and the number of the allocation, from 0


def send(kind, number=70, client=0, move=SEND):
    return bytes([move + 8 * client, KINDS[kind], number])


def serve(how=RIGHT, where=0):
    return bytes([SERVE, how, where >> 8, where & 255])


def control(event, client=0):
    return bytes([CONTROL + 8 * client, event if isinstance(event, int) else EVENTS[event]])


def raw(data, client=0):
    return bytes([SEND_RAW + 8 * client, len(data)]) + data


def serve_raw(data):
    return bytes([SERVE_RAW, len(data)]) + data


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
    yield (
        "transaction_paused",
        (
            begin
            + serve()
            + control("pause")
            + send("insert_refused", 4)
            + send("ping", client=1)
            + serve()
            + send("abort", 4)
            + serve()
            + control("resume")
            + serve()
        ),
    )
    yield (
        "bulk_results",
        (ENTER + send("bulk_mixed", 1) + serve(where=10) * 2 + send("get_more", 9) + serve() * 2 + send("kill_cursors") + serve()),
    )
    yield "bulk_refused", ENTER + send("bulk_write") + serve() + send("bulk_mixed_silent", 2) + serve(where=2) * 2
    yield "observe", ENTER + three + control("observe") + serve() + send("status_names") + send("status") + control("observe")
    yield "schemas", ENTER + send("insert_mixed") + control("schemas") + serve() + send("create") + control("schemas") + serve() * 2
    yield "no_server", control("no_server") + ENTER + send("insert", client=1) + control("no_server") + send("ping", client=2) + serve() * 3
    yield "stream", ENTER + send("hello_stream") + serve() * 2 + send("ping") + serve() + leave()
    yield "awaited", ENTER + send("hello_awaited") + serve() * 3 + send("ping", client=1) + serve()
    yield "tailable", ENTER + send("tailable") + serve() * 2 + send("get_more_of_server") + control("observe") + leave() + serve() * 2
    yield "in_parts", b"".join(send(kind, move=SEND_PART) + b"\x80" for kind in ("insert", "bulk_mixed", "compressed")) + serve() * 2
    yield "login", control(LOGIN) + serve() * 3 + send("ping") + serve() * 4 + send("insert") + serve() * 2 + control("observe")
    yield (
        "login_two",
        (
            control(LOGIN)
            + control(LOGIN, 1)
            + serve() * 3
            + send("insert")
            + send("insert", client=1)
            + serve() * 4
            + send("status")
            + leave()
            + send("ping", client=1)
            + serve() * 2
        ),
    )
    yield "login_wrong", control(WRONG_LOGIN) + serve() + send("ping") + serve() * 2
    yield (
        "login_again",
        (
            control(LOGIN)
            + send("ping")
            + serve() * 4
            + control("forget_user")
            + control(LOGIN, 1)
            + control("answer_verifiers")
            + send("ping", client=1)
            + serve() * 3
        ),
    )
    yield "login_unknown", send("sasl_start") + control("answer_verifiers") + send("sasl_continue") + control("fail_verifiers") + serve()
    yield (
        "login_away",
        (control("forget_user") + send("hello_first") + control("fail_verifiers") + control(LOGIN) + control("fail_verifiers") + serve() * 2),
    )
    yield "login_refused", control(LOGIN) + send("ping") + serve(ERROR) * 3 + send("ping") + serve(HANGUP) + serve() * 2
    yield "logout", control(LOGIN) + send("ping") + serve() * 4 + send("logout") + serve() * 2 + send("ping") + serve() * 2
    yield "users", ENTER + send("create_user") + serve() * 2 + send("drop_user") + serve() * 2 + control("answer_verifiers")
    yield (
        "limits",
        b"".join(send("hello_first", client=client) + serve() for client in range(4))
        + b"".join(send("insert_mixed", client=client) for client in range(4)) * 3
        + serve() * 3,
    )
    for i in range(0, 12, 3):
        yield f"memory_{i}", control(64 + i) + send("insert_mixed") + control(64 + i) + serve() + control(65 + i) + three + serve() * 2
        yield (
            f"memory_login_{i}",
            (control(64 + i) + send("hello_first") + serve() + control(LOGIN) + control(66 + i) + serve() * 2 + send("ping") + serve() * 2),
        )
    yield "no_room", ENTER + control("no_room") + three + send("bulk_mixed") + serve() * 2 + control("no_room") + three + serve()
    yield "time", ENTER + send("insert") + control("time") + serve() + control("time") + send("ping", client=1) + control("time") + serve()
    yield "time_login", control(LOGIN) + send("ping") + control("time") + serve() * 2 + send("sasl_start", client=1) + control("time") * 2
    yield "time_paused", ENTER + control("pause") + send("find_traced") + control("time") * 3 + control("resume") + serve()
    yield "time_part", send("insert", move=SEND_PART)[:-1] + b"\x40" + control("time") * 3 + serve()
    yield "few_clients", control("merge_off") + b"".join(send("hello_first", client=client) + serve() for client in range(4)) + serve()
    yield "leave_all", three + leave(1) + leave(2, True) + serve() + leave()


def bulk_cursors():
    """Cursors that hold results of refused statements, until each of their ends."""
    opened = ENTER + send("bulk_session", 4) + serve(where=10) * 2
    more = send("get_more_bulk") + serve(where=9) * 2
    yield "more", opened + more * 2 + send("get_more_bulk", client=1) + serve(where=9) * 3 + send("get_more_bulk") + serve(where=1) * 2
    yield "gone", opened + send("get_more_bulk") + serve(CODE, NOT_FOUND) * 2 + send("get_more_bulk") + serve(CODE, UNAUTHORIZED) * 2
    yield "refused", opened + send("get_more_bulk") + serve(CODE, UNAUTHORIZED) * 2 + more
    yield "killed", opened + send("kill_cursors_bulk") + serve() * 2 + more
    yield "session_ends", opened + send("bulk_session", 1) + serve(where=10) * 2 + send("end_session", 4) + serve() * 2 + more
    yield "session_killed", opened + send("kill_sessions", 4) + serve() * 2 + more
    yield "all_killed", opened + send("kill_all_sessions", 4) + serve() * 2 + control("hour") + control("time") + more
    yield (
        "client_leaves",
        opened + leave() + send("get_more_bulk", client=1) + serve(where=9) * 3 + leave(1) + control("hour") + control("time"),
    )
    yield "no_room", opened + control("no_room") + send("insert", client=1) + serve() + control("no_room") + more
    yield "no_room_orphan", opened + leave() + control("no_room") + send("insert", client=1) + serve() + control("no_room") + more
    yield "again", opened + (send("bulk_session", 8) + serve(where=10) * 2) * 2 + more + control("drain")
    yield "wrong", opened + send("get_more_bulk") + serve(5, 0x340) * 2 + more
    yield (
        "waits",
        opened + send("ping") + send("get_more_bulk") + serve(where=9) * 4 + send("ping") + send("get_more_bulk") + serve(where=9) * 4,
    )
    lost = opened + control("no_room") + send("bulk_session", 1, 1) + serve(where=10) * 2 + control("no_room")
    part = send("get_more_bulk", move=SEND_PART) + b"\xa0"
    yield "lost_waits", lost + send("ping") + send("get_more_bulk") + serve(where=9) * 4 + part + serve()
    yield "in_parts", opened + part + serve(where=9) * 3 + control("slow") + part + serve(where=9) * 3
    yield "ended_while_asked", opened + send("get_more_bulk") + send("end_session", 4, 1) + serve(where=9) * 3 + more
    yield "no_room_again", opened + control("no_room") + send("bulk_session", 1, 1) + serve(where=10) * 2 + control("send_large") + more
    for i in range(12):
        yield (
            f"memory_{i}",
            (
                ENTER
                + send("bulk_session", 4)
                + control(FAIL + i)
                + serve(where=10)
                + control(FAIL + i)
                + serve(where=10)
                + control(FAIL + i)
                + send("get_more_bulk")
                + control(FAIL + i)
                + serve(where=9)
                + serve(where=9)
            ),
        )


def merged():
    """Batches whose server or clients do not do what is expected. All inserts are unordered, so that they are of one group."""
    asked = serve(QUESTIONS) * 2
    # a restart: the retry table knows no session of another play
    entered = control("drain") * 2 + b"".join(send("hello_plain", client=client) + serve() for client in range(4))
    known = entered + b"".join(send("insert_retryable", 4 + client, client) + serve() * 3 for client in range(3))
    flight = send("insert", 1) + asked
    plain = send("insert", 2, 1) + send("insert", 3, 2) + send("insert", 12, 3) + asked
    traced = send("insert_traced", 2, 1) + send("insert_traced", 3, 2) + asked
    numbered = send("insert_retryable", 10) + asked + send("insert_retryable", 8, 1) + send("insert_retryable", 9, 2) + asked
    same = send("insert_retryable", 8, 3) + asked
    for name, batch in (("plain", flight + plain), ("numbered", numbered + same), ("traced", flight + traced)):
        for answer, where in (
            ("error", 0),
            ("write_error", 0),
            ("mutated", 0x345),
            ("mutated", 0x150),
            ("cut", 0),
            ("hangup", 0),
            ("code", 0),
            ("code", 1),
            ("none", 0),
            ("legacy", 0),
            ("to_nobody", 0),
            ("in_parts", 0),
            ("large", 0),
        ):
            yield f"{name}_{answer}_{where}", known + batch + serve() + serve(ANSWERS[answer], where) + serve() * 4
    for answer, where in (("error", 0), ("code", 1), ("code", 10), ("write_error", 0), ("mutated", 0x345), ("large", 0)):
        lost = known + numbered + same + serve() + serve(HANGUP)
        yield f"find_out_{answer}_{where}", lost + serve(ANSWERS[answer], where) + serve() * 6
        yield f"find_out_late_{answer}_{where}", lost + serve() + serve(ANSWERS[answer], where) * 2 + serve() * 6
    yield "again", known + numbered + serve() * 3 + send("insert_retryable", 8, 3) + send("insert_retryable", 4, 3) + serve() * 3
    for how in (0, ERROR, WRITE_ERROR, HANGUP, CODE):
        yield (
            f"same_{how}",
            known + numbered + same + send("insert_retryable", 10, 0) + serve() + serve(how) * 2 + control("time") + serve() * 3,
        )
    yield "first_leaves", known + numbered + same + leave(1) + leave(2) + serve() * 4
    yield "waiter_leaves", known + numbered + same + leave(3, True) + serve(ERROR) * 2 + serve() * 3
    yield "carrier_leaves", known + flight + plain + serve() + leave(1) + leave(2, True) + leave(3) + serve() * 3
    yield (
        "carrier_leaves_late",
        known + flight + plain + serve() + leave(1, True) + leave(2, True) + leave(3, True) + control("time") * 2 + serve(ERROR),
    )
    yield "narrow", entered + control("narrow") + flight + plain * 2 + serve() * 6
    yield "narrow_numbered", known + control("narrow") + numbered + same + serve() + serve(HANGUP) + serve() * 6
    yield "alone_waits", known + control("narrow") + flight + plain + serve() + send("find_traced", 70, 0) + serve(ERROR) + serve() * 6
    for how, where in ((CODE, 1), (CODE, 2), (ERROR, 0), (HANGUP, 0)):
        tight = known + control("narrow")
        yield f"tight_plain_{how}_{where}", tight + flight + plain + serve() + serve(how, where) + serve() * 8
        yield f"tight_late_{how}_{where}", tight + flight + plain + serve() + serve(how, where) + control("time") * 2 + serve() * 3
        yield f"tight_numbered_{how}_{where}", tight + numbered + same + serve() + serve(HANGUP) + serve(how, where) * 2 + serve() * 8
    yield "off_again", known + numbered + serve() * 2 + control("merge_off") + send("insert_retryable", 8, 3) + serve() * 4
    yield "paused", known + flight + plain + control("pause") + serve() * 2 + control("time") + control("resume") + serve() * 2
    yield "drained", known + numbered + same + control("drain") + serve() * 4
    yield "let_go", known + flight + plain + serve() + control("time") * 3 + serve() * 3
    for i in range(10):
        fail = control(FAIL + i)
        yield (
            f"memory_{i}",
            known
            + numbered[:3]
            + asked
            + fail
            + numbered[11:14]
            + fail
            + same[:3]
            + fail
            + serve()
            + fail
            + serve(ERROR)
            + fail
            + serve()
            + serve() * 2,
        )
        yield f"memory_same_{i}", known + numbered + fail + same[:3] + asked + serve() + fail + serve(ERROR) + serve() * 3
        yield (
            f"memory_lost_{i}",
            (known + numbered + same + serve() + fail + serve(HANGUP) + fail + serve(CODE, 10) + fail + serve() + fail + serve() + serve() * 2),
        )


def hellos():
    """States of the servers, of shared mode."""
    many = b"".join(send("hello_awaited_stream", client=client) for client in range(3))
    yield (
        "changes",
        ENTER + many + serve(where=0x100) * 2 + many + serve(where=0x800) * 2 + serve(where=0x1000) * 2 + many + serve(where=0x2000) * 3,
    )
    yield "stream", ENTER + send("hello_stream") + serve(where=0x100) * 3 + serve(MORE, 0x200) * 2
    yield (
        "negative",
        ENTER + send("hello_negative") + serve() + send("hello_negative_wait") + serve() + send("hello_versioned", client=1) + serve() * 2,
    )
    yield (
        "own",
        send("hello_own") + serve() * 2 + send("ping") + serve() + send("hello_own", client=1) + send("hello_plain", client=2) + serve() * 2,
    )
    yield "lost", ENTER + many + serve(HANGUP) + many + serve(CUT) + many + serve(ERROR) + many + serve(CODE) + serve() * 3
    yield "broken", ENTER + many + serve(5, 0) + serve(5, 0x103) + many + serve(TO_NOBODY) + many + serve(TWICE) + many + serve(IN_PARTS) * 3
    yield "late", ENTER + many + control("time") + control("time") + serve(NONE) + many + control("time") + serve() * 3
    yield "no_server", control("no_server") + send("hello_plain") + many + control("time") + control("no_server") + serve() * 3
    yield "unused", ENTER + many + serve() + control("hour") + serve(where=0x100) * 2 + control("hour") + serve(where=0x200) * 2
    yield "tcp", control("tcp") + ENTER + many + serve(where=0x100) * 2 + send("hello_legacy", client=3) + serve() * 2
    yield "haste", ENTER + many + control("haste") + serve(NONE) + control("time") + many + control("time") + serve() * 2
    yield "haste_rest", ENTER + serve(where=0x1000) + many + control("haste") + serve(where=0x1000) * 2 + control("time") + serve() * 2
    yield "slow", ENTER + many + control("slow") + serve(where=0x100) * 3
    for i in range(12):
        yield (
            f"memory_{i}",
            (
                control(FAIL + i)
                + send("hello_plain")
                + control(FAIL + i)
                + serve()
                + many
                + control(FAIL + i)
                + serve(where=0x100)
                + control(FAIL + i)
                + send("hello_negative")
                + serve() * 2
            ),
        )


def narrow():
    """Small limits, clients with addresses, and the PROXY protocol."""
    tcp = control("tcp")
    everybody = b"".join(send("proxy_header", client=client) + send("hello_plain", client=client) for client in range(4))
    yield "header", control("proxied") + tcp + everybody + serve() * 2 + send("ping") + serve() * 2 + send("insert", client=1) + serve() * 2
    yield "header_local", control("proxied") + tcp + send("proxy_header_local") + send("ping") + serve() * 2
    yield "no_header", control("proxied") + tcp + send("ping") + send("ping", client=1) + serve()
    yield "header_away", tcp + send("proxy_header") + serve() + control("proxied") + send("ping", client=1)
    entered = b"".join(send("hello_plain", client=client) + serve() for client in range(4))
    pings = b"".join(send("ping", client=client) for client in range(4))
    yield "pool_full", control("narrow") + entered + pings + control("observe") + serve() * 4 + pings * 2 + control("time") + serve() * 4
    yield (
        "pool_full_legacy",
        control("narrow") + entered + pings + send("find_legacy", client=3) + send("update_silent", client=2) + control("time") + serve() * 3,
    )
    yield "pool_late", control("narrow") + entered + send("ping") + send("ping", client=1) + control("observe") + control("time") + serve() * 2
    held = control("narrow") + entered + send("find_traced") + serve()
    yield "insert_late", held + send("insert", client=1) + send("insert", client=2) + control("time") + serve() * 3
    yield "insert_alone_late", held + send("insert", client=1) + control("time") * 2 + serve() * 3
    yield "finish", held + control("finish") + control("time") * 2 + serve() * 2
    yield "finish_busy", entered + send("find_traced") + control("finish") + send("insert", client=1) + control("finish", 1) + serve() * 3
    yield (
        "finish_large",
        entered + send("ping") + control("finish") + serve(LARGE) + control("send_large", 1) + control("finish", 1) + serve() * 2,
    )
    yield "cancel", held + control("observe") + leave() + control("time") * 2 + serve() * 2
    yield "cancel_reset", held + leave(0, True) + control("time") * 2 + serve() * 2
    yield (
        "awaiting",
        control("narrow")
        + entered
        + send("get_more_of_server")
        + serve()
        + send("tailable", client=1)
        + control("observe")
        + control("time")
        + serve() * 2,
    )
    other = send("hello_legacy", client=1) + serve()
    yield (
        "two_applications",
        (
            control("narrow")
            + send("hello_plain")
            + serve()
            + other
            + send("ping")
            + serve() * 3
            + send("ping", client=1)
            + serve() * 3
            + send("ping")
            + serve() * 3
            + control("observe")
        ),
    )
    third = send("hello", client=2) + serve()
    three = control("narrow") + send("hello_plain") + serve() + other + third
    yield "three_applications", three + b"".join(send("ping", client=client) + serve() * 3 for client in range(3)) + send("ping") + serve() * 3
    yield (
        "three_busy",
        (
            three
            + b"".join(send("find_traced", client=client) + serve() * 1 for client in range(2))
            + send("ping", client=2)
            + send("tailable", client=3)
            + control("observe")
            + serve() * 4
        ),
    )
    yield (
        "three_one_busy",
        three
        + send("find_traced")
        + serve()
        + send("ping", client=1)
        + serve() * 2
        + send("find_traced", client=1)
        + send("ping", client=2)
        + serve() * 4,
    )
    yield (
        "two_of_one",
        three
        + send("hello_plain", client=3)
        + send("find_traced")
        + serve()
        + send("ping", client=1)
        + serve() * 3
        + send("ping", client=3)
        + serve() * 3,
    )
    apps = b"".join(send("hello_plain", client=client) + serve() for client in range(3)) + send("hello_legacy", client=3) + serve()
    yield (
        "sibling",
        (
            apps
            + b"".join(send("find_traced", client=client) for client in range(3))
            + serve() * 3
            + send("tailable", client=3)
            + serve()
            + leave()
            + send("hello_legacy")
            + serve()
            + send("ping")
            + serve() * 3
        ),
    )
    yield "login_speculative", control("narrow") + send("hello_first") + serve() * 2 + control("time") * 4 + serve()
    yield (
        "login_speculative_two",
        (
            control("narrow")
            + send("hello_first")
            + send("hello_first", client=1)
            + serve() * 2
            + control("time") * 2
            + control("observe")
            + serve()
            + send("sasl_continue")
            + serve()
        ),
    )
    yield "login_ends", send("hello_first") + serve() * 2 + control("hour") + control("time") + serve() * 2
    yield (
        "two_busy",
        control("narrow") + send("hello_plain") + serve() + other + send("find_traced") + serve() + send("ping", client=1) + serve() * 3,
    )
    bob = send("sasl_bob", client=2) + serve() + serve()
    yield (
        "login_total",
        (
            control("narrow")
            + entered
            + send("ping")
            + serve() * 3
            + bob
            + send("sasl_bob", client=3)
            + serve() * 3
            + send("ping", client=1)
            + control("time")
            + serve() * 3
        ),
    )
    yield "login_pause", control("narrow") + entered + bob + control("time") * 2 + serve() * 2
    yield "login_crowded", control("narrow") + entered + bob + send("sasl_bob", client=3) + serve() * 2 + control("time") * 3 + serve() * 2
    yield "login_for_ever", entered + bob + control("hour") + control("time") + serve() * 2
    yield "doubted", entered + send("ping") + serve() * 3 + send("ping") + serve(CODE, UNAUTHORIZED) + serve() * 2 + send("ping") + serve() * 3
    yield (
        "doubted_refused",
        entered + send("ping") + serve() * 3 + send("ping") + serve(CODE, UNAUTHORIZED) + serve(CODE) + send("ping") + serve() * 3,
    )
    yield (
        "doubted_late",
        control("narrow") + entered + send("ping") + serve() * 3 + send("ping") + serve(CODE, UNAUTHORIZED) + control("time") * 2 + serve() * 3,
    )
    yield "doubted_memory", entered + send("ping") + serve() * 3 + send("ping") + control(FAIL) + serve(CODE, UNAUTHORIZED) + serve() * 3
    app = b"".join(send("hello_legacy", client=client) + serve() for client in range(2))
    yield (
        "limits",
        control("narrow") + app + (send("ping") + serve() * 2) * 6 + send("hello_legacy", client=2) + send("ping", client=2) + serve(),
    )
    yield "limits_documents", control("narrow") + app + (send("insert_mixed") + serve() * 2) * 4 + send("insert_mixed_silent") + serve()
    yield (
        "limits_first",
        control("narrow") + send("hello_first") + serve() + send("ping") * 3 + serve() * 2 + send("bulk_mixed") * 2 + serve() * 2,
    )
    yield "handshake", raw(b"") + raw(b"abc", 1) + control("time") * 2
    begun = bytes([60, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0xDD, 7, 0, 0, 0])
    yield "request_late", control("narrow") + entered + raw(begun) + raw(begun, 1) + control("time") + raw(b"x", 1) + control("time") * 2
    yield "request_late_pending", control("narrow") + entered + send("ping") + raw(begun) + serve(NONE) + control("time") * 3 + serve()
    yield "request_late_large", entered + send("ping") + serve() * 2 + raw(bytes([0, 0, 16, 0]) + begun[4:]) * 2 + control("time") * 3 + serve()
    yield "no_address", control("no_address") + send("ping") + send("hello_plain", client=1) + send("hello_first", client=2) + serve()
    yield (
        "large",
        entered + control("send_large") + serve() + control("send_large", 1) + serve() * 2 + control("send_large", 2) + leave(2) + serve(),
    )
    yield "large_late", entered + control("send_large") + control("narrow") + control("time") * 3 + serve() * 2
    yield "large_no_room", entered + control("no_room") + control("send_large") + control("send_large", 1) + serve()
    yield (
        "large_reply",
        entered
        + send("ping")
        + serve(LARGE)
        + send("ping")
        + serve(LARGE)
        + send("ping", client=1)
        + serve()
        + serve(LARGE) * 2
        + leave(1)
        + send("ping")
        + serve() * 2,
    )
    yield (
        "large_bulk",
        ENTER + send("bulk_session", 4) + serve() + serve(LARGE) + send("insert") + serve(LARGE) + send("hello_plain") + serve(LARGE),
    )
    yield "hint", ENTER + send("ping") + serve(NONE) + serve_raw(b"HTTP/1.1 4") + send("ping", client=1) + serve(HANGUP) * 2
    yield "hint_late", ENTER + send("ping") + serve_raw(b"HTTP") + serve(HANGUP) * 2
    yield "idle", control("narrow") + entered + serve() + control("time") * 3 + serve()
    yield "lifetime", control("narrow") + entered + pings + serve() * 4 + control("time") * 2 + pings + control("hour") + serve() * 4
    yield "connect_late", control("narrow") + send("hello_plain") + send("find_legacy", client=1) + control("time") * 2 + serve()
    yield "own", control("narrow") + entered + send("sasl_start") + serve() + send("sasl_start", client=1) + control("time") * 3 + serve()
    yield "pause", control("narrow") + entered + control("pause") + pings + control("time") * 3 + serve()
    yield "values", control("narrow") + entered + send("insert_refused") + send("update_refused", client=1) + serve() * 3


def ends():
    """Drains, and starts that fail."""
    begun = send("update_in_transaction", 4)
    yield "idle", ENTER + control("drain") + send("ping") + serve()
    yield "transaction", ENTER + begun + serve() * 2 + control("drain") + send("update_in_transaction", 12, 1) + send("commit", 4) + serve() * 3
    yield "busy", ENTER + send("find_traced") + send("insert", client=1) + send("insert", client=2) + control("drain") + serve() * 4
    yield "vanish", ENTER + control("drain") + send("insert") + leave() + serve() + control("time") + serve()
    again = control("drain") * 2
    for i in range(8):
        yield (
            f"again_{i}",
            again + control(FAIL + i) + send("hello_plain") + serve() + control(FAIL + i) + send("hello_plain", client=1) + serve() * 2,
        )
    for i in range(16):
        yield f"start_{i}", control(FAIL + i) + control("drain")


def others():
    yield (
        "slow_check",
        ENTER + control("slow") + send("insert_mixed") + send("bulk_mixed", client=1) + send("large_insert", client=2) + serve() * 4,
    )
    yield "slow_check_leaves", control("slow") + send("large_insert") + send("large", client=1) + leave() + leave(1) + serve()
    yield (
        "slow_check_memory",
        control("slow") + control(FAIL) + send("insert_mixed") + serve() + control(FAIL + 2) + send("large_insert") + serve(),
    )
    yield (
        "large",
        ENTER + send("large") + serve() * 2 + send("large_insert") + serve() * 2 + control("no_room") + send("large", client=1) + serve(),
    )
    yield "large_broken", send("large", move=1) + bytes([1, 0, 77]) + serve() + send("large", client=1, move=1) + bytes([0, 30, 5]) + serve()
    yield (
        "abort",
        ENTER + send("update_in_transaction", 4) + serve() * 2 + send("update_refused_in_transaction", 0) + serve() * 3 + send("commit", 4),
    )
    yield (
        "abort_first",
        ENTER + send("update_refused_in_transaction", 4) + serve() * 2 + send("update_refused_in_transaction", 0) + serve(HANGUP),
    )
    yield (
        "silent",
        ENTER + send("insert_refused_silent") + send("update_silent") + serve() + send("insert_unacknowledged") + control("time") + serve() * 2,
    )
    yield "silent_logout", ENTER + send("insert_unacknowledged") + send("logout_silent") + send("logout_admin") + serve() * 3
    yield (
        "versioned",
        send("hello_versioned") + serve() + send("ping_versioned") + serve() * 2 + send("insert") + send("insert", client=1) + serve() * 3,
    )
    yield "changes_all", ENTER + send("apply_ops") + serve() * 2
    yield "silent_warned", control("narrow") + send("insert_warned") + send("update_checksum") + serve() * 2
    yield (
        "slow_pieces",
        ENTER + control("slow") + send("bulk_mixed", move=SEND_PART) + b"\x60" + serve() * 2 + control(FAIL + 1) + send("bulk_mixed") + serve(),
    )
    yield "status_wrong", ENTER + send("status_wrong") + send("status_wrong_names") + serve()
    yield (
        "legacy",
        ENTER + send("command_legacy") + send("hello_legacy", client=1) + serve(LEGACY) * 2 + send("find_legacy", client=2) + serve(LEGACY),
    )
    for how in (IN_PARTS, COMPRESSED, LEGACY, MORE, NONE, CODE):
        for kind in ("ping", "insert", "bulk_mixed", "tailable", "sasl_start", "hello_first"):
            yield f"answer_{how}_{kind}", ENTER + send(kind, 2) + serve(how, 3) * 2 + serve() * 2
    yield "silent_mixed", ENTER + send("insert_mixed_silent") + serve() + send("insert_versioned") + serve() * 3
    yield (
        "tailables",
        ENTER + b"".join(send("tailable") + serve(where=client) * 2 for client in range(8)) + send("get_more_of_server") + serve() * 2,
    )
    bob = send("sasl_bob")
    for how in range(4):
        yield f"login_stale_{how}", control(LOGIN) + serve() * how + serve(CODE, STALE) + serve() * 3 + control(LOGIN, 1) + serve() * 4
    yield (
        "login_speculative",
        send("hello_first") + serve() + send("sasl_continue") + send("hello_first", client=1) + control("observe") + serve(),
    )
    yield (
        "login_away_hello",
        control("forget_user") + send("hello_first") + control("answer_verifiers") + send("hello_first", client=1) + serve() * 2,
    )
    yield (
        "login_narrow",
        control("narrow")
        + control(LOGIN)
        + control(LOGIN, 1)
        + control(LOGIN, 2)
        + control(LOGIN, 3)
        + serve()
        + control("time")
        + serve() * 4,
    )
    yield "login_silent_start", send("sasl_silent") + control(LOGIN) + serve() * 4 + send("sasl_silent") + serve()
    yield (
        "login_doubted_late",
        (
            control("narrow")
            + control(LOGIN)
            + serve() * 5
            + send("ping")
            + serve() * 2
            + send("ping")
            + serve(CODE, UNAUTHORIZED)
            + control("time") * 3
            + serve() * 3
        ),
    )
    yield (
        "login_doubted_lost",
        control(LOGIN) + serve() * 5 + send("ping") + serve() * 2 + send("ping") + serve(CODE, UNAUTHORIZED) + serve(CODE) * 2 + serve() * 3,
    )
    yield (
        "login_hello_twice",
        control(LOGIN)
        + serve() * 5
        + send("hello_first")
        + serve()
        + send("hello_first", client=1)
        + control("forget_user")
        + send("hello_first", client=2)
        + serve(),
    )
    yield "login_silent", send("logout_silent") + control(LOGIN) + serve() * 3 + send("logout_silent") + serve() + send("ping") + serve() * 2
    yield (
        "login_observe",
        control(LOGIN)
        + serve() * 3
        + send("find_traced")
        + control("observe")
        + serve()
        + control("observe")
        + send("insert")
        + send("insert")
        + serve(),
    )
    yield "login_bob", control(LOGIN) + serve() * 3 + bob + serve() + send("authenticate") + send("hello_first") + serve() * 2
    yield "login_external", send("sasl_external") + serve() + bob + control("answer_verifiers") + serve() * 2
    yield (
        "login_logout",
        (
            control(LOGIN)
            + send("ping")
            + serve() * 4
            + send("insert_unacknowledged")
            + send("logout_admin")
            + serve() * 3
            + control(LOGIN)
            + serve() * 3
        ),
    )
    yield "login_stale", control(LOGIN) + serve(CODE, STALE) * 3 + serve() * 3 + control(LOGIN, 1) + serve() * 3
    yield (
        "login_doubted",
        (control(LOGIN) + send("ping") + serve() * 4 + send("ping") + serve(CODE, UNAUTHORIZED) + serve() * 2 + send("ping") + serve() * 3),
    )
    for i in range(16):
        yield (
            f"login_memory_{i}",
            (
                control(FAIL + i)
                + control(LOGIN)
                + control(LOGIN, 1)
                + control(FAIL + i)
                + serve()
                + control(FAIL + i)
                + serve()
                + control(FAIL + i)
                + send("logout_admin", client=1)
                + send("sasl_bob")
                + serve()
            ),
        )
    for kind in KINDS:
        yield (
            f"memory_{kind}",
            b"".join(control(FAIL + i) + send(kind, 4 + i) + control(FAIL + i // 2) + serve(where=i) + serve() for i in range(12)),
        )


def families():
    for family in (bulk_cursors, merged, hellos, narrow, ends, others):
        for name, play in family():
            yield f"{family.__name__}_{name}", play


# The plays that show something in the target's mode; those with time take a tenth of a second each time.
KEPT = {
    "session": (
        "bulk_cursors",
        "merged",
        "ends",
        "others_memory",
        "others_slow",
        "others_large",
        "others_abort",
        "others_silent",
        "others_answer",
        "others_versioned",
        "others_changes",
        "others_status",
        "others_legacy",
        "others_tailables",
        "narrow_header",
        "narrow_no_header",
        "narrow_values",
        "narrow_limits",
        "narrow_handshake",
        "narrow_request",
        "narrow_no_address",
        "narrow_large",
        "narrow_hint",
        "narrow_finish",
        "narrow_connect",
    ),
    "session_shared": ("merged", "hellos", "narrow", "ends_again", "ends_transaction", "others_slow", "others_silent", "others_answer"),
    "session_verified": (
        "bulk_cursors",
        "hellos",
        "ends",
        "others",
        "narrow_cancel",
        "narrow_doubted",
        "narrow_limits",
        "narrow_pool",
        "narrow_three",
        "narrow_login",
        "merged_memory",
        "merged_find",
    ),
}

for target in ("session", "session_shared", "session_verified"):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, play in plays():
        if target == "session_verified" or not name.startswith(("login", "limits", "users", "time", "few")):
            (folder / name).write_bytes(play)
    for name, play in families():
        if name.startswith(KEPT[target]):
            (folder / name).write_bytes(play)
