"""The integration tests of the Go driver. Its modules are the top-level tests."""

import re
from dataclasses import dataclass
from pathlib import Path

from outcomes import Outcome
from suite import MODULE_SECONDS, Suite, run_program

TEST = re.compile(r"^func (Test\w+)\(t \*testing\.T\)", re.M)
RESULT = re.compile(r"^\s*--- (PASS|FAIL|SKIP): (.+) \(\d+\.\d+s\)$")
SPEAKER = re.compile(r"^=== (?:RUN|NAME|CONT)\s+(.+)$")  # the test whose lines follow
WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


@dataclass(frozen=True)
class GoSuite(Suite):
    program: Path = Path()

    def modules(self):
        sources = self.folder.glob("*_test.go")
        names = {name for source in sources for name in TEST.findall(source.read_text())}
        return sorted(names - {"TestMain"})

    def run(self, trial):
        env = self.environment(MONGODB_URI=trial.endpoint.uri())
        if trial.endpoint.user:
            env["AUTH"] = "auth"
        tests, trouble = {}, ""
        for name in trial.only or (trial.module,):
            command = [self.program, "-test.v", f"-test.run={pattern(name)}", f"-test.timeout={MODULE_SECONDS}s"]
            printed, why = run_program(command, self.folder, env, trial.folder / "test.log", MODULE_SECONDS + 30)
            tests |= read(printed)
            trouble += why
        if not tests and not trouble:
            trouble = f"no test ran, see {trial.folder / 'test.log'}"
        return tests, trouble


def pattern(name):
    """Selects this test and those below it."""
    return "/".join(f"^{re.escape(part)}$" for part in name.split("/"))


def read(printed):
    """{test: Outcome} of what `-test.v` prints."""
    found, said, speaker = {}, {}, None
    for line in printed.splitlines():
        result, speaks = RESULT.match(line), SPEAKER.match(line)
        if result:
            found[result[2]] = Outcome(WORDS[result[1]], said.get(result[2], ""))
        elif speaks:
            speaker = speaks[1]
        elif speaker and line.strip() and speaker not in said:
            said[speaker] = line.strip()
    return found
