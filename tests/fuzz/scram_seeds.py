"""Writes the seeds of the target scram: messages of SCRAM, bodies of the commands, files of verifiers.

    scram_seeds.py FOLDER
"""

import json
import sys
from pathlib import Path

import bson

KEY, SALT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODw=="
KEYS = {"iterationCount": 15000, "salt": SALT, "storedKey": KEY, "serverKey": KEY}
USER = {"user": "ann", "db": "admin", "credentials": {"SCRAM-SHA-256": KEYS}}
FIRST, PROOF, CHALLENGE, FILE, COMMAND, SHA_256, LOGIN, REPLY, INVENTED = 0, 1, 2, 3, 4, 8, 16, 17, 18
STEP = {"conversationId": 1, "done": False, "payload": b"r=x", "ok": 1}


def start(payload, **more):
    return bson.encode({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": payload, **more})


SEEDS = {
    "first": (FIRST, b"n,,n=ann,r=abc"),
    "first_y": (FIRST, b"y,,n=ann,r=abc,x=y"),
    "first_escaped": (FIRST, b"n,,n=a=2Cb=3D,r=abc"),
    "first_authzid": (FIRST, b"n,a=root,n=ann,r=abc"),
    "first_bound": (FIRST, b"p=tls-unique,,n=ann,r=abc"),
    "proof_1": (PROOF, b"c=biws,r=abcdef,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    "proof_256": (PROOF | SHA_256, b"c=biws,r=abcdef,x=y,p=" + KEY.encode()),
    "challenge": (CHALLENGE | SHA_256, b"r=abcdef,s=c2FsdA==,i=4096"),
    "challenge_changed": (CHALLENGE, b"r=abcdef,s=" + SALT.encode() + b",i=10000"),
    "signature": (CHALLENGE, b"v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    "file": (FILE, json.dumps({"users": [USER, {**USER, "db": "shop"}], "secret": SALT}).encode()),
    "file_twice": (FILE, json.dumps({"users": [USER, USER]}).encode()),
    "file_reply": (FILE, json.dumps({"users": [USER], "ok": {"$numberDouble": "1"}}).encode()),
    "start": (COMMAND, start(b"n,,n=ann,r=abc", options={"skipEmptyExchange": True})),
    "start_text": (COMMAND, start("biwsbj1hLHI9Yg==")),
    "login_1": (LOGIN, b"\0\0ann"),
    "login_256": (LOGIN | SHA_256, b"\0\0a=b,c\xc3\xa9"),
    "login_changed": (LOGIN, b"\1\1ann"),
    "login_unlike": (LOGIN | SHA_256, b"\2\1ann"),
    "login_last": (LOGIN | SHA_256, b"\3\1ann"),
    "reply_refused": (REPLY, bson.encode({"ok": 0.0, "code": 18, "errmsg": "no"})),
    "reply_away": (REPLY, bson.encode({"ok": 0.0, "code": 91})),
    "reply_step": (REPLY, bson.encode(STEP)),
    "reply_early": (REPLY, bson.encode({**STEP, "done": True})),
    "invented": (INVENTED, b"ann"),
    "invented_256": (INVENTED | SHA_256, b"n" * 900),
    "continue": (COMMAND, bson.encode({"saslContinue": 1, "conversationId": 1, "payload": b"c=biws,r=abcdef,p=" + KEY.encode()})),
}

for name, (kind, text) in SEEDS.items():
    Path(sys.argv[1], name).write_bytes(bytes([kind]) + text)
