"""SCRAM implemented step by step, so that the test knows each payload."""

import base64
import hashlib
import hmac
import secrets

from bson import Binary

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


def _secret(mechanism, user, password):
    if mechanism == "SCRAM-SHA-256":
        return password.encode()  # the tests' passwords are unchanged by SASLprep
    return hashlib.md5(f"{user}:mongo:{password}".encode()).hexdigest().encode()


def final_message(mechanism, secret, first_bare, challenge):
    digest = HASHES[mechanism]
    fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac(digest, secret, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
    client_key = hmac.digest(salted, b"Client Key", digest)
    without_proof = b"c=biws,r=" + fields[b"r"]
    text = b",".join((first_bare, challenge, without_proof))
    signature = hmac.digest(hashlib.new(digest, client_key).digest(), text, digest)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + base64.b64encode(proof), proof


def authenticate(client, mechanism, user, password, *, speculative, database="admin"):
    """The server's last reply, and all secrets that were on the wire."""
    name = user.replace("=", "=3D").replace(",", "=2C").encode()
    first_bare = b"n=" + name + b",r=" + base64.b64encode(secrets.token_bytes(24))
    start = {"saslStart": 1, "mechanism": mechanism, "payload": Binary(b"n,," + first_bare),
             "autoAuthorize": 1, "options": {"skipEmptyExchange": True}}
    if speculative:
        hello = client.command({"hello": 1, "speculativeAuthenticate": {**start, "db": database}})
        challenge = hello["speculativeAuthenticate"]
    else:
        assert client.hello()["ok"] == 1
        challenge = client.command({**start, "$db": database})
        if challenge["ok"] != 1:
            return challenge, []
    final, proof = final_message(mechanism, _secret(mechanism, user, password), first_bare,
                          challenge["payload"])
    step = {"saslContinue": 1, "conversationId": challenge["conversationId"], "$db": database}
    reply = client.command({**step, "payload": Binary(final)})
    if reply["ok"] == 1 and not reply["done"]:
        reply = client.command({**step, "payload": Binary(b"")})
    return reply, [challenge["payload"], final, proof]
