"""Schemas of a mounted ConfigMap: the kubelet changes all of them at once, by replacing a symbolic link."""

import json
import os
from pathlib import Path

import pytest
from support.process import eventually
from support.proxy import Proxy
from support.simulated import SimulatedServer


class ConfigMap:
    """A folder as the kubelet makes it: NAME -> ..data/NAME, ..data -> ..VERSION/."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.version = 0
        folder.mkdir()

    def put(self, files: dict[str, str]) -> None:
        self.version += 1
        place = self.folder / f"..{self.version}"
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        turned = self.folder / "..data_tmp"
        turned.symlink_to(place.name)
        os.replace(turned, self.folder / "..data")
        for name in files:
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        for link in self.folder.glob("*.json"):
            if link.name not in files:
                link.unlink()


def schema(ns: str, action: str) -> str:
    return json.dumps({"ns": ns, "action": action, "schema": {"bsonType": "object"}})


@pytest.fixture
def mounted(tmp_path):
    return ConfigMap(tmp_path / "schemas")


@pytest.mark.proxy_only
def test_changes_are_followed(mounted):
    mounted.put({"a.json": schema("d.a", "warn")})
    with SimulatedServer() as server:
        proxy = Proxy(f"mongodb://{server.address}/", {"schemas": str(mounted.folder)})
        try:
            with proxy.endpoint().client(directConnection="true") as client:
                def in_force() -> dict[str, str]:
                    reply = client.admin.command("mongosluice")
                    return {one["ns"]: one["action"] for one in reply["schemas"]}
                assert in_force() == {"d.a": "warn"}
                mounted.put({"a.json": schema("d.a", "error")})
                eventually(lambda: in_force() == {"d.a": "error"}, "the changed schema is in force")
                mounted.put({"a.json": schema("d.a", "error"), "b.json": schema("d.b", "warn")})
                eventually(lambda: in_force() == {"d.a": "error", "d.b": "warn"}, "the new schema is in force")
                mounted.put({"b.json": "{"})
                eventually(lambda: in_force() == {"d.b": "warn"}, "one is gone, the broken one stays as it was")
        finally:
            proxy.finish()
