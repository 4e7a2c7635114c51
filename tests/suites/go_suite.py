"""The integration tests of the Go driver. Its modules are the top-level tests."""

import re
from dataclasses import dataclass

from built_suite import BuiltSuite
from outcomes import Outcome

TEST = re.compile(r"^func (Test\w+)\(t \*testing\.T\)", re.M)
RESULT = re.compile(r"^\s*--- (PASS|FAIL|SKIP): (.+) \(\d+\.\d+s\)$")
SPEAKER = re.compile(r"^=== (?:RUN|NAME|CONT)\s+(.+)$")  # the test whose lines follow
WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


@dataclass(frozen=True)
class GoSuite(BuiltSuite):
    def modules(self):
        """Files with a build constraint (encryption) are not in the program."""
        sources = [path.read_text() for path in self.folder.glob("*_test.go")]
        return sorted({name for source in sources if "//go:build" not in source for name in TEST.findall(source)})

    def run(self, trial):
        env = self.environment(MONGODB_URI=trial.endpoint.uri())
        if trial.endpoint.user:
            env["AUTH"] = "auth"
        tests, trouble = {}, ""
        for name in trial.only or (trial.module,):
            found, why = self.outcomes_of(trial, ["-test.v", f"-test.run={pattern(name)}", "-test.timeout=0"], env, read)
            tests |= found
            trouble += why
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
