"""The proxy accepts server behaviour that differs from MongoDB's and that drivers accept."""

import pytest
from support import wire
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


def test_stream_whose_replies_all_answer_the_request(start_proxy, simulated):
    """MongoDB answers the previous reply's id; drivers do not check it."""
    async def stream(server, connection, request):
        for number in range(3):
            await server.reply(connection, request, {"number": number, "ok": 1.0},
                               flags=wire.MORE_TO_COME if number < 2 else 0)

    simulated.handlers["stream"] = stream
    proxy = start_proxy(f"mongodb://{simulated.address}/")
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"stream": 1, "$db": "admin"}, flags=wire.EXHAUST_ALLOWED))
        assert [client.receive().body["number"] for _ in range(3)] == [0, 1, 2]
        assert client.command({"ping": 1})["ok"] == 1


@pytest.mark.parametrize("compressor", ["snappy", "zlib", "zstd"])
def test_compressed_hello_is_rewritten_too(start_proxy, simulated, compressor):
    """Drivers never compress hello. A client that does so must not learn an address that bypasses the proxy."""
    simulated.topology = {"setName": "rs", "hosts": [simulated.address], "me": simulated.address,
                          "primary": simulated.address}
    proxy = start_proxy(f"mongodb://{simulated.address}/?replicaSet=rs")
    where = proxy.endpoint()
    with RawClient(where) as client:
        reply = client.ask(wire.compress(op_msg({"hello": 1, "$db": "admin"}), compressor)).body
    assert reply["me"] == reply["primary"] == where.address and reply["hosts"] == [where.address]
