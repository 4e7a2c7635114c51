"""Pushes the schemas of models into a registry in MongoDB, with the proxy's `schema push`."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from mongosluice import program
from mongosluice.export.files import write_files
from mongosluice.export.schema import Exported


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--push", metavar="URI",
                        help="push the schemas into the registry of this deployment (mongosluice schema push)")
    parser.add_argument("--collection", metavar="DATABASE.COLLECTION", help="the collection of the registry; with --push")
    parser.add_argument("--candidate", action="store_true", help="push the schemas as candidates; with --push")
    parser.add_argument("--allow-incompatible", action="store_true",
                        help="push schemas even if they may refuse documents that the newest version accepts; with --push")
    parser.add_argument("--dry-run", action="store_true", help="print the changes of --push and store nothing")


def push(found: list[Exported], options: argparse.Namespace) -> int:
    """Returns the exit code of `schema push`. Namespaces in the registry keep their settings, unless --action
        names another action. The environment carries the URI, so that other users cannot see it."""
    flags = ["--collection", options.collection] if options.collection else []
    flags += [] if options.action else ["--keep-settings"]
    flags += [f"--{name.replace('_', '-')}" for name in ("candidate", "allow_incompatible", "dry_run")
              if getattr(options, name)]
    with tempfile.TemporaryDirectory() as folder:
        write_files(found, Path(folder), options.action)
        return subprocess.run([program.program(), "schema", "push", *flags, folder], check=False,
                              env={**program.environment(), "MONGOSLUICE_REGISTRY": options.push}).returncode
