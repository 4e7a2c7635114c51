"""A suite that is a program, which scripts/build-driver-suites.sh builds."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from outcomes import run_logged
from suite import MODULE_SECONDS, ROOT, Suite


@dataclass(frozen=True)
class BuiltSuite(Suite):
    program: Path = Path()

    def prepare(self):
        subprocess.run([ROOT / "scripts/build-driver-suites.sh", self.name], check=True)

    def outcomes_of(self, trial, arguments, env, read):
        """Runs the program. read(what it printed) returns the outcomes."""
        log = trial.folder / "test.log"
        code = run_logged([self.program, *arguments], self.folder, env, log, MODULE_SECONDS)
        tests = read(log.read_text(errors="replace"))
        trouble = "" if tests and isinstance(code, int) else f"the program did not end, or no test ran (exit code {code}), see {log}"
        return tests, trouble
