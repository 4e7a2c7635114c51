"""Checks the alert rules and the dashboard with promtool, and that the proxy exports every name in them."""

import json
import re
import subprocess
import urllib.request

import pytest
import yaml
from support.ports import free_port
from support.process import eventually
from support.proxy import ROOT, Proxy
from support.simulated import SimulatedServer

GRAFANA = ROOT / "docker/grafana"
PROMTOOL = ROOT / ".cache/bin/promtool"
DASHBOARD = json.loads((GRAFANA / "dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load((GRAFANA / "alerts.yaml").read_text())["groups"]
         for rule in group["rules"]]
LABELS_OF_SCRAPING = {"job", "instance"}


def promtool(*words: object, text: str | None = None) -> str:
    done = subprocess.run([str(PROMTOOL), *map(str, words)], input=text, capture_output=True, text=True, timeout=60,
                          cwd=GRAFANA, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    """The queries of all panels, with values for Grafana's variables."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return [re.sub(r"\$__rate_interval", "5m", one).replace("$job", ".*").replace("$instance", ".*") for one in found]


@pytest.fixture(scope="module")
def metrics() -> str:
    """Returns the metrics of a proxy that has served a client."""
    with SimulatedServer() as server:
        port = free_port()
        proxy = Proxy(f"mongodb://{server.address}/", {"admin.listen": f"127.0.0.1:{port}"})
        try:
            with proxy.endpoint().client(directConnection="true") as client:
                client.admin.command("ping")

            def answer() -> str | None:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
                        return reply.read().decode()
                except OSError:
                    return None
            text = eventually(answer, "/metrics answers")
        finally:
            proxy.finish()
    return text


def test_metrics_are_well_formed(metrics):
    assert not promtool("check", "metrics", text=metrics).strip()


def test_rules_are_right_and_fire_when_they_should():
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yaml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yaml")


def test_every_alert_is_tested_and_documented():
    names = {rule["alert"] for rule in RULES}
    cases = [case for test in yaml.safe_load((GRAFANA / "alerts_test.yaml").read_text())["tests"]
             for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names
    documented = re.findall(r"^\| `(Mongosluice\w+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(names)


def test_expressions_of_the_dashboard_are_promql(tmp_path):
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def families(metrics: str) -> dict[str, set[str]]:
    """The labels of each family."""
    found: dict[str, set[str]] = {name: set() for name in re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE)}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", metrics, re.MULTILINE):
        family = name if name in found else re.sub(r"_(bucket|sum|count)$", "", name)
        found[family] |= set(re.findall(r'(\w+)="', labels))
    return found


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:mongosluice|process)_\w+", expression))


def test_every_metric_that_is_named_exists(metrics):
    known = families(metrics)
    used = set().union(*map(names_in, [*expressions(), *(rule["expr"] for rule in RULES)]))
    assert len(used) > 20
    unknown = {name for name in used if name not in known and re.sub(r"_(bucket|sum|count)$", "", name) not in known}
    assert not unknown


def test_every_label_that_is_named_exists(metrics):
    known = families(metrics)
    # without a schema in force these have no sample
    known["mongosluice_documents_total"] |= {"schema", "outcome"}
    known["mongosluice_documents_dropped_total"] |= {"schema"}
    known["mongosluice_validation_seconds_total"] |= {"schema"}
    for expression in [*expressions(), *(rule["expr"] for rule in RULES)]:
        for name, selector in re.findall(r"\b((?:mongosluice|process)_\w+)\{([^}]*)\}", expression):
            family = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
            for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector):
                assert label in known[family] | LABELS_OF_SCRAPING, (expression, label)
                if family in ("mongosluice_errors_total", "mongosluice_state"):
                    for one in value.split("|"):
                        assert one == ".*" or f'{label}="{one}"' in metrics, (expression, one)


def test_dashboard_fits_together():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'job=~"$job"' in target["expr"], target["expr"]

