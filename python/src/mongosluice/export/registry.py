"""Schemas of models into a registry of schemas in MongoDB, by the proxy's `schema push`."""

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
    parser.add_argument("--collection", metavar="DATABASE.COLLECTION", help="of the registry; with --push")
    parser.add_argument("--candidate", action="store_true", help="as shadows beside the accepted versions; with --push")
    parser.add_argument("--allow-incompatible", action="store_true",
                        help="also schemas that refuse documents of the newest version; with --push")
    parser.add_argument("--dry-run", action="store_true", help="say what --push would do")


def push(found: list[Exported], options: argparse.Namespace) -> int:
    """The exit code of `schema push`. Settings of namespaces that the registry has stay as they are,
    unless --action names one. The URI goes by the environment, where other users do not see it."""
    flags = ["--collection", options.collection] if options.collection else []
    flags += [] if options.action else ["--keep-settings"]
    flags += [f"--{name.replace('_', '-')}" for name in ("candidate", "allow_incompatible", "dry_run")
              if getattr(options, name)]
    with tempfile.TemporaryDirectory() as folder:
        write_files(found, Path(folder), options.action)
        return subprocess.run([program.program(), "schema", "push", *flags, folder], check=False,
                              env={**program.environment(), "MONGOSLUICE_REGISTRY": options.push}).returncode
