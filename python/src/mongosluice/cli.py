"""The command line: runs `export` and `report` here, and every other command with the proxy's program."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mongosluice import program
from mongosluice.export import registry
from mongosluice.export.files import ACTIONS, BrokenFileError, differences, write_files
from mongosluice.export.schema import SETTINGS, Exported, report_json, text_of
from mongosluice.export.targets import DEFAULT_DATABASE, ExportError, export_targets
from mongosluice.reporting import assess

OK, DIFFERENT, WRONG = 0, 1, 2
COMMANDS = ("export", "report")
TARGET = "MODULE, MODULE:CLASS, or MODULE:CLASS=DATABASE.COLLECTION"



def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="mongosluice", description="The commands of the Python package; the proxy's program runs all others.")
    commands = made.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="write the schema files of models",
                                 description="Writes a schema file for each namespace that the models use.")
    report = commands.add_parser("report", help="print the mode of models under offload",
                                 description="Prints for each model its mode under offload, the reasons, and the changes "
                                             "that `full` requires. Asks no server.")
    for one in (export, report):
        one.add_argument("target", nargs="+", help=TARGET)
        one.add_argument("--database", metavar="NAME", default=os.environ.get("MONGOSLUICE_DATABASE"),
                         help=f"the database of the documents (or MONGOSLUICE_DATABASE; default {DEFAULT_DATABASE})")
        one.add_argument("--json", action="store_true", help="print the report as JSON on standard output")
    export.add_argument("-o", "--output", metavar="FOLDER", help="the folder for the files; without it, print them")
    export.add_argument("--action", choices=ACTIONS, metavar="ACTION",
                        help=f"the action in new files: {', '.join(ACTIONS)}; default {SETTINGS['action']}")
    export.add_argument("--check", action="store_true",
                        help="write nothing; exit with 1 if a file is missing or has another schema or dialect")
    registry.add_options(export)
    export.add_argument("--strict", action="store_true",
                        help="if a rule stays with Python, write nothing and exit with 1")
    return made


def print_exported(found: list[Exported], as_json: bool) -> None:
    if as_json:
        print(report_json(found))
        return
    for one in found:
        print(f"{one.ns}: {', '.join(one.models)}", file=sys.stderr)
        for note in one.notes:
            print(f"  stays with Python: {note}", file=sys.stderr)


def export(options: argparse.Namespace) -> int:
    if options.check and not options.output:
        raise ExportError("--check needs --output, the folder to compare with")
    if options.push and (options.output or options.check):
        raise ExportError("--push cannot be combined with --output or --check")
    found = export_targets(options.target, options.database)
    print_exported(found, options.json)
    if options.strict and any(one.notes for one in found):
        print("mongosluice: --strict: the models have rules that a schema cannot hold", file=sys.stderr)
        return DIFFERENT
    if options.check:
        problems = differences(found, Path(options.output))
        for problem in problems:
            print(f"mongosluice: {problem}", file=sys.stderr)
        return DIFFERENT if problems else OK
    if options.push:
        return registry.push(found, options)
    if options.output:
        for sentence in write_files(found, Path(options.output), options.action):
            print(f"mongosluice: {sentence}", file=sys.stderr)
    elif not options.json:
        for one in found:
            print(text_of({**one.file(), "action": options.action or SETTINGS["action"]}), end="")
    return OK


def report(options: argparse.Namespace) -> int:
    found = assess(options.target, options.database)
    print(json.dumps([one.as_dict() for one in found], indent=2) if options.json else "\n".join(map(str, found)))
    return OK


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    sys.path.insert(0, os.getcwd())
    try:
        return export(options) if options.command == "export" else report(options)
    except (ExportError, BrokenFileError, program.NotThereError) as error:
        print(f"mongosluice: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:  # a schema file; errors of the module's import are ExportErrors
        print(f"mongosluice: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG


def console() -> int:
    """The console script: passes all commands but the package's own to the proxy."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] in COMMANDS:
        return main(arguments)
    try:
        path = program.program()
    except program.NotThereError as error:
        print(f"mongosluice: {error}", file=sys.stderr)
        return WRONG
    if arguments in (["-h"], ["--help"]):
        done = subprocess.run([path, *arguments], env=program.environment(), check=False)
        print("\nCommands of the Python package:\n" + "".join(f"  mongosluice {name} --help\n" for name in COMMANDS), end="")
        return done.returncode
    try:
        os.execve(path, ["mongosluice", *arguments], program.environment())
    except OSError as error:
        print(f"mongosluice: {path}: {error.strerror}", file=sys.stderr)
        return WRONG
