"""The Helm chart: the values that it takes, the text of each refusal, and the proxy's own check of what it renders.
The tests with Helm need the program that tests/packaging/manifests.sh builds."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.proxy import ROOT

CHART = ROOT / "docker/helm/mongosluice"
HELM = Path(os.environ.get("HELM", ROOT / ".cache/bin/helm"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
CI_VALUES = sorted((CHART / "ci").glob("*.yaml"))
THREE = "mongodb://a,b:27018,c/?replicaSet=rs0"
ONE = "upstream=mongodb://a/"
Manifest = dict[str, Any]

needs_helm = pytest.mark.skipif(not HELM.exists(), reason="Helm is not built; tests/packaging/manifests.sh builds it")


# --- the schema of the values

def values_of(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text())


@pytest.mark.parametrize("file", [CHART / "values.yaml", *CI_VALUES], ids=lambda file: file.name)
def test_values_hold_against_their_schema(file):
    jsonschema.Draft7Validator(SCHEMA).validate(values_of(file))


def test_every_value_is_in_the_schema():
    assert set(values_of(CHART / "values.yaml")) == set(SCHEMA["properties"])


def test_options_in_the_schema_are_those_of_the_program(program):
    printed = subprocess.run([program, "--print-options-schema"], capture_output=True, text=True, timeout=30, check=True)
    schema = json.loads(printed.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    assert SCHEMA["properties"]["config"]["properties"] == schema["properties"], \
        "run scripts/generate-chart-schema.py build/package"
    # the example has every option with its default
    jsonschema.Draft7Validator(schema).validate(yaml.load((ROOT / "config/mongosluice.yaml").read_text(), yaml.BaseLoader)
                                                | {"upstream": "mongodb://h/"})
    table = subprocess.run([program, "--print-options-markdown"], capture_output=True, text=True, timeout=30, check=True)
    assert set(re.findall(r"^\| `([^`]+)`", table.stdout, re.MULTILINE)) <= set(schema["properties"])


@pytest.mark.parametrize("config", [
    {"max_client_con": 5000}, {"tls": {"modes": "off"}}, {"admin": 9117}, {"admin.lsten": "x"}, {"merge": {"enabled": 3}},
    {"merge": {"namespaces": {"a.b": {"max_doc": 1}}}}, {"max_client_conn": 0}, {"log": {"level": "loud"}},
    {"merge": {"namespaces": {"a.b": {"retry_table_bytes": 65536}}}}, {"threads": [1]}])
def test_unknown_options_and_wrong_values_are_refused(config, program, tmp_path):
    """By the schema, and by the proxy itself."""
    validator = jsonschema.Draft7Validator(SCHEMA)
    assert not validator.is_valid({"upstream": "mongodb://h/", "config": config})
    file = tmp_path / "mongosluice.yaml"
    file.write_text(yaml.safe_dump({"upstream": "mongodb://h/", "listen": "127.0.0.1:1", **config}))
    done = subprocess.run([program, "--check-config", "--config", file], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode != 0


# --- rendering

def helm(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([HELM, "template", "demo", CHART, "--kube-version", "1.31.0", *words], capture_output=True,
                          text=True, timeout=60, check=False)


def render(*words: str) -> dict[str, Manifest]:
    done = helm(*words)
    assert done.returncode == 0, done.stderr
    return {f"{one['kind']} {one['metadata']['name']}": one for one in yaml.safe_load_all(done.stdout) if one}


def pod_of(manifests: dict[str, Manifest]) -> Manifest:
    return manifests["Deployment demo-mongosluice"]["spec"]["template"]["spec"]


def container_of(manifests: dict[str, Manifest]) -> Manifest:
    return pod_of(manifests)["containers"][0]


def sets(*values: str) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@needs_helm
@pytest.mark.parametrize(("values", "count"), [
    (["--set-literal", f"upstream={THREE}"], 3),
    (sets("upstream=mongodb://a\\,b\\,c/?replicaSet=rs0"), 3),
    (sets("upstream=mongodb://a\\,b\\,c/?replicaSet=rs0", "servers=5"), 5),
    (sets("upstream=mongodb://a\\,b?replicaSet=rs0"), 2),
    (sets("upstream=mongodb://user:p%40ss%2Fword@a\\,b\\,c/db?replicaSet=rs0"), 3),
    (sets("upstream=mongodb://[::1]:27017\\,[::1]:27018/"), 2),
    (sets(ONE), 1),
    (sets("upstream=mongodb://a/?directConnection=true&replicaSet=rs0"), 1),
    (sets("upstream=mongodb+srv://a.example/", "servers=3"), 3),
    (sets("existingSecret=own", "servers=3"), 3),
    (sets("upstream=mongodb://u:${percent:file:/run/a\\,b/c}@a\\,b/?replicaSet=rs0"), 2),
    (sets("upstream=${URI}", "servers=3"), 3),
    (sets("upstream=file:/run/uri", "servers=3"), 3),
])
def test_ports_follow_from_the_hosts(values, count):
    manifests = render(*values)
    expected = [27117 + i for i in range(count)]
    assert f"--listen_port_count={count}" in container_of(manifests)["args"]
    assert [one["port"] for one in manifests["Service demo-mongosluice"]["spec"]["ports"]] == expected
    assert [one["containerPort"] for one in container_of(manifests)["ports"]][:-1] == expected
    (clients,) = manifests["NetworkPolicy demo-mongosluice"]["spec"]["ingress"]
    assert clients["ports"] == [{"port": 27117, "endPort": expected[-1]}]


@needs_helm
@pytest.mark.parametrize(("values", "text"), [
    ([], "upstream is missing"),
    (["--set-literal", f"upstream={THREE}", *sets("servers=1")], "servers is 1, but upstream lists 3 hosts"),
    (sets("upstream=mongodb+srv://a/"), "servers is missing: mongodb+srv:// does not tell"),
    (sets("upstream=mongodb://a/?replicaSet=rs0"), "servers is missing: upstream names one host of a replica set"),
    (sets("upstream=mongodb://a/?w=1&replicaSet=rs0"), "servers is missing: upstream names one host of a replica set"),
    (sets("upstream=mongodb://${HOSTS}/?replicaSet=rs0"), "servers is missing: the hosts in upstream come from"),
    (sets("upstream=${URI}"), "servers is missing: the hosts in upstream come from"),
    (sets("upstream=file:/run/uri"), "servers is missing: the hosts in upstream come from"),
    (sets("existingSecret=own"), "servers is missing: the chart cannot read upstream in existingSecret"),
    (sets(f"upstream={THREE}"), 'key "b:27018" has no value'),  # docs/kubernetes.md quotes it
    (sets(ONE, "config.max_client_con=4"), "Additional property max_client_con is not allowed"),
    (sets(ONE, "config.tls.mode=require"), "Use its value tls.mode"),
    (sets(ONE, "config.tls\\.key_file=x"), "Use its value tls.secretName"),
    (sets(ONE, "config.admin.listen=9000"), "Use its value admin.port"),
    (sets(ONE, "config.listen=0.0.0.0:1"), "Use its value port"),
    (sets(ONE, "config.schemas_registry=a.b"), "Use its value registry.collection"),
    (sets(ONE, "config.drain_timeout_ms=1"), "Use its value drainSeconds"),
    (sets(ONE, "config.admin=9000"), "config.admin"),
    (sets("existingSecret=own", "servers=3", "config.threads=2"), "existingSecret holds the whole configuration"),
    (sets("existingSecret=own", "servers=3", ONE), "existingSecret holds the whole configuration"),
    (sets(ONE, "registry.collection=a.b", "schemas.x\\.json=\\{\\}"), "exclude each other"),
    (sets(ONE, "service.type=LoadBalancer"), "advertise is missing"),
    (sets(ONE, "service.type=LoadBalancer", "advertise=n"), "networkPolicy.clients is empty"),
    (sets(ONE, "service.type=NodePort", "advertise=n", "networkPolicy.enabled=false"), "between 30000 and 32767"),
    (sets(ONE, "podLabels.app\\.kubernetes\\.io/name=x"), "podLabels"),
    (sets(ONE, "autoscaling.enabled=true", "autoscaling.minReplicas=20"), "larger than autoscaling.maxReplicas"),
    (sets(ONE, "autoscaling.enabled=true", "resources.requests=null"), "resources.requests.cpu"),
    (sets("upstream=http://mongo/"), "Does not match pattern"),
    (sets(ONE, "replicas=0"), "replicas"),
    (sets(ONE, "replcias=3"), "replcias"),
    (sets(ONE, "tls.mode=require"), "secretName"),
    (sets(ONE, "port=80"), "port"),
    (sets(ONE, "registry.collection=schemas"), "registry.collection"),
])
def test_wrong_values_are_refused_with_a_reason(values, text):
    done = helm(*values)
    assert done.returncode != 0, f"accepted: {values}"
    assert text in done.stderr, done.stderr


def lay_out(manifests: dict[str, Manifest], folder: Path) -> list[str]:
    """Writes the files of the pod below `folder`, and returns the proxy's arguments with these paths."""
    placed = {f"/etc/mongosluice/{name}": text
              for name, text in manifests["Secret demo-mongosluice"]["stringData"].items()}
    schemas = manifests.get("ConfigMap demo-mongosluice-schemas", {"data": {}})["data"]
    placed |= {f"/etc/mongosluice-schemas/{name}": text for name, text in schemas.items()}
    (folder / "etc/mongosluice-schemas").mkdir(parents=True)
    for path, text in placed.items():
        place = folder / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(re.sub(r"(?<=: )/(?=etc/)", f"{folder}/", text))
    return [re.sub(r"(?<==)/(?=etc/)", f"{folder}/", one) for one in container_of(manifests)["args"]]


def make_certificates(folder: Path) -> None:
    tls = folder / "etc/mongosluice-tls"
    tls.mkdir(parents=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=x", "-keyout", tls / "tls.key", "-out", tls / "tls.crt"], check=True,
                   capture_output=True, timeout=60)
    (tls / "ca.crt").write_text((tls / "tls.crt").read_text())
    token = folder / "etc/mongosluice-token/token"
    token.parent.mkdir()
    token.write_text("a-token-of-some-length\n")


@needs_helm
@pytest.mark.parametrize("file", CI_VALUES, ids=lambda file: file.name)
def test_proxy_takes_what_the_chart_renders(file, program, tmp_path):
    manifests = render("-f", str(file))
    arguments = lay_out(manifests, tmp_path)
    make_certificates(tmp_path)
    done = subprocess.run([program, "--check-config", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    mounts = {one["mountPath"] for one in container_of(manifests)["volumeMounts"]}
    assert all(re.search(f"=({'|'.join(mounts)})(/|$)", one) for one in container_of(manifests)["args"] if "=/" in one)
    volumes = {one["name"] for one in pod_of(manifests)["volumes"]}
    assert {one["name"] for one in container_of(manifests)["volumeMounts"]} == volumes


@needs_helm
def test_every_switch_reaches_its_place():
    manifests = render("-f", str(CHART / "ci/replica-set-values.yaml"))
    deployment = manifests["Deployment demo-mongosluice"]
    pod, container = pod_of(manifests), container_of(manifests)
    assert deployment["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    assert "replicas" not in deployment["spec"]
    assert deployment["spec"]["template"]["metadata"]["labels"]["team"] == "data"
    assert pod["serviceAccountName"] == "demo-mongosluice" and "ServiceAccount demo-mongosluice" in manifests
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert container["env"] == [{"name": "TZ", "value": "UTC"}] and container["envFrom"]
    assert not [one for one in container["volumeMounts"] if "subPath" in one], "the kubelet would not renew the files"
    service = manifests["Service demo-mongosluice"]
    assert service["spec"]["type"] == "LoadBalancer" and service["spec"]["externalTrafficPolicy"] == "Local"
    assert service["metadata"]["annotations"] and service["metadata"]["labels"]["team"] == "data"
    scaler = manifests["HorizontalPodAutoscaler demo-mongosluice"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "demo-mongosluice" and scaler["minReplicas"] == 3
    assert [one["resource"]["name"] for one in scaler["metrics"]] == ["cpu", "memory"]


@needs_helm
def test_prometheus_reaches_the_metrics():
    values = ["--set-literal", f"upstream={THREE}"]
    ingress = [render(*values, *sets(*more))["NetworkPolicy demo-mongosluice"]["spec"]["ingress"] for more in (
        [], ["serviceMonitor.enabled=true"],
        ["serviceMonitor.enabled=true", "networkPolicy.monitoring[0].podSelector.matchLabels.app=prometheus"])]
    assert len(ingress[0]) == 1, "without a ServiceMonitor nobody needs the port"
    assert ingress[1][1] == {"from": [{"namespaceSelector": {}}], "ports": [{"port": 9117}]}
    assert ingress[2][1]["from"] == [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]


@needs_helm
def test_admin_endpoint_with_a_certificate_is_probed_over_tls():
    values = sets(ONE, "config.admin.tls_cert_file=/c", "serviceMonitor.enabled=true")
    manifests = render(*values)
    container = container_of(manifests)
    schemes = {container[key]["httpGet"]["scheme"] for key in container if key.endswith("Probe")}
    assert schemes == {"HTTPS"}
    assert manifests["ServiceMonitor demo-mongosluice"]["spec"]["endpoints"][0]["scheme"] == "https"


@needs_helm
def test_pods_change_with_what_a_running_proxy_cannot_change():
    def checksum(*more: str) -> str:
        template = render(*sets(ONE, *more))["Deployment demo-mongosluice"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/configuration"]
    first = checksum()
    assert first == checksum("schemas.a\\.json=\\{\\}"), "the pods follow schemas without a restart"
    different = {checksum("upstream=mongodb://b/"), checksum("config.threads=2"), checksum("registry.collection=a.b")}
    assert len(different | {first}) == 4


@needs_helm
def test_node_ports_are_the_ports_that_clients_are_told():
    manifests = render("--set-literal", f"upstream={THREE}", *sets(
        "service.type=NodePort", "advertise=n", "port=30100", "networkPolicy.clients[0].ipBlock.cidr=10.0.0.0/8"))
    for port in manifests["Service demo-mongosluice"]["spec"]["ports"]:
        assert port["nodePort"] == port["port"]
