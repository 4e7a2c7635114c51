"""A suite that pytest runs."""

import sys
from dataclasses import dataclass
from pathlib import Path

import outcomes
from suite import MODULE_SECONDS, Suite


@dataclass(frozen=True)
class PytestSuite(Suite):
    arguments: tuple[str, ...] = ()
    notes_namespaces = True

    def modules(self):
        """Paths below the folder, as pytest takes them."""
        found = (self.folder / "test").rglob("test_*.py")
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def run(self, trial):
        junit = trial.folder / "junit.xml"
        junit.unlink(missing_ok=True)
        host, port = trial.endpoint.host_port
        env = self.environment(DB_IP=host, DB_PORT=str(port), PYTHONHASHSEED="0")
        if trial.endpoint.user:
            env |= {"DB_USER": trial.endpoint.user, "DB_PASSWORD": trial.endpoint.password}
        plugin = ()
        if trial.namespaces:
            env |= {"SUITES_NAMESPACES": str(trial.namespaces), "PYTHONPATH": str(Path(__file__).parent)}
            plugin = ("-p", "namespaces_plugin")
        command = [sys.executable, "-m", "pytest", "-q", "-ra", "-o", "addopts=", "-o", "log_cli=false",
                   "-p", "no:cacheprovider", *plugin, f"--timeout={trial.test_seconds}", f"--junitxml={junit}",
                   *self.arguments, *(list(outcomes.node_ids(trial.module, trial.only)) or [trial.module])]
        return outcomes.run_pytest(command, self.folder, env, junit, trial.folder / "pytest.log", MODULE_SECONDS)

    def known(self, folder):
        return outcomes.read(folder / "junit.xml") or None
