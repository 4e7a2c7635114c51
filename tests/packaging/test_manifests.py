"""Kubernetes manifests and the compose file: whether their parts fit together, and whether the proxy
takes the arguments, configurations and schemas in them. manifests.sh holds them against the schemas
of Kubernetes, by hand."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.proxy import ROOT

DOCKER = ROOT / "docker"
FILES = sorted((DOCKER / "kubernetes").glob("*.yaml"))
Manifest = dict[str, Any]


def manifests(file: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


def named(file: Path, kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests(file) if one["kind"] == kind}


def deployment(file: Path) -> Manifest:
    (only,) = named(file, "Deployment").values()
    return only


def proxy_of(file: Path) -> Manifest:
    pod = deployment(file)["spec"]["template"]["spec"]
    (only,) = [one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == "mongosluice"]
    return only


def lay_out(file: Path, container: Manifest, folder: Path) -> None:
    """The files that the container finds where its volumes are mounted."""
    volumes = {one["name"]: one for one in deployment(file)["spec"]["template"]["spec"]["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        assert mount["readOnly"]
        if "secret" in volume:
            data = named(file, "Secret")[volume["secret"]["secretName"]]["stringData"]
        else:
            data = named(file, "ConfigMap")[volume["configMap"]["name"]]["data"]
        place = folder / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True)
        for name, text in data.items():
            (place / name).write_text(text)


def check(program: Path, arguments: list[str], folder: Path) -> dict[str, Any]:
    """Runs the proxy's check of the arguments, with paths below `folder`."""
    here = [re.sub(r"(?<==)/(?=etc/)", f"{folder}/", one) for one in arguments]
    done = subprocess.run([program, "--check-config", *here], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {option["name"]: option["value"] for option in json.loads(done.stdout)["options"]}


def file_id(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_proxy_takes_arguments_configuration_and_schemas(file, program, tmp_path):
    container = proxy_of(file)
    lay_out(file, container, tmp_path)
    values = check(program, container["args"], tmp_path)
    members = len(re.split(",", values["upstream"].split("/")[2]))
    assert values["listen_port_count"] == members == 3
    schemas = list(Path(values["schemas"]).glob("*.json"))
    assert schemas
    done = subprocess.run([program, "schema", "lint", *schemas], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_ports_and_probes_lead_to_what_listens(file, program, tmp_path):
    container = proxy_of(file)
    lay_out(file, container, tmp_path)
    values = check(program, container["args"], tmp_path)
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    first = int(values["listen"].rpartition(":")[2])
    listening = {int(values["admin.listen"].rpartition(":")[2]), *range(first, first + values["listen_port_count"])}
    assert set(ports.values()) <= listening
    probes = [value for key, value in container.items() if key.endswith("Probe")]
    assert len(probes) >= 2
    for probe in probes:
        assert probe["httpGet"]["port"] == "admin" and probe["httpGet"]["path"] in ("/livez", "/readyz")
    # the kubelet connects from outside the pod
    assert not values["admin.listen"].startswith("127.")
    for service in named(file, "Service").values():
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_nothing_is_run_as_root_or_writes(file):
    container = proxy_of(file)
    pod = deployment(file)["spec"]["template"]["spec"]
    security = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert security["runAsNonRoot"] and security["runAsUser"] == security["runAsGroup"] == 900
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]} and security["seccompProfile"]["type"] == "RuntimeDefault"
    assert pod["automountServiceAccountToken"] is False
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_selectors_find_the_pods(file):
    labels = deployment(file)["spec"]["template"]["metadata"]["labels"]
    selectors = [deployment(file)["spec"]["selector"]["matchLabels"]]
    selectors += [one["spec"]["selector"] for one in named(file, "Service").values()]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in named(file, "PodDisruptionBudget").values()]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in named(file, "NetworkPolicy").values()]
    for selector in selectors:
        assert selector.items() <= labels.items()


def test_there_is_time_to_drain(program, tmp_path):
    for file in FILES:
        container = proxy_of(file)
        folder = tmp_path / file.stem
        lay_out(file, container, folder)
        drain = check(program, container["args"], folder)["drain_timeout_ms"] / 1000
        waits = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
        assert deployment(file)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= drain + int(waits[1]) + 5


def test_gateway_lets_in_who_it_should():
    gateway = DOCKER / "kubernetes/gateway.yaml"
    (policy,) = named(gateway, "NetworkPolicy").values()
    clients, monitoring = policy["spec"]["ingress"]
    assert clients["ports"] == [{"port": 27117, "endPort": 27119}] and clients["from"] == [{"podSelector": {}}]
    assert monitoring["ports"] == [{"port": 9117}]
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    service = named(gateway, "Service")["mongosluice"]
    assert service["spec"]["sessionAffinity"] == "ClientIP"
    assert f"--advertise={service['metadata']['name']}.default.svc.cluster.local" in proxy_of(gateway)["args"]


# --- compose, and the image that it builds

COMPOSE = yaml.safe_load((DOCKER / "docker-compose.yaml").read_text())


def test_compose_proxy_takes_its_arguments(program, tmp_path):
    service = COMPOSE["services"]["mongosluice"]
    (mount,) = service["volumes"]
    source, target, mode = mount.split(":")
    assert mode == "ro"
    place = tmp_path / target.lstrip("/")
    place.parent.mkdir(parents=True)
    place.symlink_to(DOCKER / source)
    values = check(program, service["command"], tmp_path)
    assert values["advertise"] == "mongosluice" and values["schemas"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    for name in COMPOSE["services"].values():
        assert set(name.get("depends_on", {})) <= set(COMPOSE["services"])


def test_compose_application_knows_only_the_proxy(program, tmp_path):
    app = COMPOSE["services"]["app"]
    assert app["environment"]["MONGODB_URI"] == "mongodb://mongosluice:27117/shop?replicaSet=rs0"
    for mount in [*app["volumes"], *COMPOSE["services"]["mongosluice"]["volumes"]]:
        assert (DOCKER / mount.split(":")[0]).exists()
    pinned = (DOCKER / "example/requirements.txt").read_text().split()
    assert set(pinned) <= set((ROOT / "scripts/requirements.txt").read_text().split())


def test_image_copies_what_the_build_needs():
    dockerfile = (DOCKER / "Dockerfile").read_text()
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().split()
    copied = re.search(r"^COPY (.*CMakeLists.*) \./$", dockerfile, re.MULTILINE)[1].split()
    copied += re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE)
    assert ignored[0] == "*" and sorted(ignored[1:]) == sorted(f"!{name}" for name in copied)
    assert all((ROOT / name).exists() for name in copied)
    for cmake in [ROOT / "config/packaging/packaging.cmake", *(ROOT / "src").rglob("CMakeLists.txt")]:
        installed = re.findall(r"\$\{PROJECT_SOURCE_DIR\}/([\w.]+)", cmake.read_text())
        assert set(installed) <= set(copied), f"{cmake.name} installs what the image does not copy"
    assert re.search(r"^USER 900:900$", dockerfile, re.MULTILINE)


def test_image_probes_where_its_command_listens(program, tmp_path):
    dockerfile = (DOCKER / "Dockerfile").read_text()
    probe = json.loads(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", dockerfile, re.MULTILINE)[1])
    command = json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[-1])
    assert probe[:3] == ["mongosluice", "status", "--admin"]
    assert command[command.index("--admin") + 1] == probe[3]


def test_build_packages_are_those_of_the_setup():
    """The image installs the same build packages as scripts/setup.sh, without those of the tests."""
    listed = re.search(r"packages_build=\(([^)]*)\)", (ROOT / "scripts/setup.sh").read_text())[1].split()
    dockerfile = (DOCKER / "Dockerfile").read_text()
    installed = re.search(r"--no-install-recommends \\\n(.*?)&& rm", dockerfile, re.DOTALL)[1]
    assert set(installed.replace("\\", "").split()) == set(listed) - {"libcmocka-dev"} | {"file"}
