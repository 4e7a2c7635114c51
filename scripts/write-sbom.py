#!/usr/bin/env python3
"""Writes a CycloneDX list (JSON) of the components in the files of a release, for each kind of file that is there:

    VERSION-deb      the Debian packages: the packages of the libraries that the program loads
    VERSION-static   the tarballs and RPMs: the libraries inside the program
    VERSION-wheels   the wheels: the same libraries, and the Python packages that they require
    VERSION-image    the image: every package in it

usage: write-sbom.py --dist FOLDER [--libraries FOLDER]

The versions are those that the build used: of this machine for amd64, of the downloaded packages below --libraries
(scripts/static-libraries.sh) for the rest.
"""
import argparse
import datetime
import email.parser
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import uuid
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def output_of(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def licences_of(copyright_text):
    """The short names in a machine-readable copyright file; none in a free one."""
    if not copyright_text or "copyright-format/1.0" not in copyright_text:
        return []
    return sorted({name.strip() for name in re.findall(r"^License: *(\S.*)$", copyright_text, re.MULTILINE)})


def read_text(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def debian_component(name, version, architecture, copyright_text="", library=True):
    quoted = [urllib.parse.quote(part, safe="~.-:") for part in (name, version)]
    purl = f"pkg:deb/debian/{quoted[0]}@{quoted[1]}?arch={architecture}&distro=bookworm"
    component = {"type": "library" if library else "application", "bom-ref": purl, "name": name, "version": version,
                 "purl": purl}
    licences = licences_of(copyright_text)
    if licences:
        component["licenses"] = [{"license": {"name": one}} for one in licences]
    return component


# --- the Debian packages

def loaded_packages(program):
    """The packages of all libraries that a program of this machine loads, with theirs."""
    files = re.findall(r"=> (/\S+)", output_of("ldd", program))
    files += [os.path.realpath(one) for one in files]
    found = subprocess.run(["dpkg-query", "--search", *files], capture_output=True, text=True, check=False).stdout
    return sorted({line.split(":")[0] for line in found.splitlines()})


def components_of_debs(debs, libraries):
    names = set()
    for deb in debs:
        if "_amd64" in deb.name:
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
                names |= set(loaded_packages(Path(folder) / "usr/bin/mongosluice"))
    for deb in debs:
        architecture = output_of("dpkg-deb", "-f", deb, "Architecture").strip()
        downloaded = {}
        if architecture == "arm64":
            downloaded = versions_of(libraries / "apt-bookworm-arm64/archives")
        for name in sorted(names):
            version = downloaded.get(name)
            if architecture != "arm64":
                version = output_of("dpkg-query", "-W", "-f", "${Version}", f"{name}:{architecture}")
            if version:
                yield debian_component(name, version, architecture, read_text(Path(f"/usr/share/doc/{name}/copyright")))


def versions_of(folder):
    """{package: version} of the .deb files in a folder."""
    return {name: urllib.parse.unquote(version)
            for name, version, _ in (file.stem.split("_") for file in sorted(folder.glob("*.deb")))}


# --- the program with its libraries inside

def components_inside(libraries):
    for arch, debian in (("x86_64", "amd64"), ("aarch64", "arm64")):
        docs = libraries / arch / "sysroot/usr/share/doc"
        for name, version in versions_of(libraries / arch / "deb").items():
            yield debian_component(name, version, debian, read_text(docs / name / "copyright"))
    for dsc in sorted((libraries / "sources").glob("*.dsc")):
        name, version = dsc.stem.split("_")
        text = read_text(libraries / "sources" / name / "debian/copyright")
        yield debian_component(name, version, "source", text)
    zig = re.search(r"ziglang==([\d.]+)", read_text(ROOT / "scripts/static-libraries.sh"))[1]
    yield {"type": "library", "bom-ref": f"pkg:pypi/ziglang@{zig}", "name": "ziglang", "version": zig,
           "purl": f"pkg:pypi/ziglang@{zig}", "description": "compiler; its libc++ and compiler runtime are in the program"}


def python_requirements(wheels):
    """The packages that the wheels require, without versions: pip chooses them."""
    with zipfile.ZipFile(wheels[0]) as wheel:
        (name,) = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
        metadata = email.parser.Parser().parsestr(wheel.read(name).decode())
    for line in sorted(metadata.get_all("Requires-Dist") or []):
        package = re.match(r"[\w.-]+", line)[0].lower()
        optional = "extra ==" in line
        yield {"type": "library", "bom-ref": f"requires:{line}", "name": package, "purl": f"pkg:pypi/{package}",
               "description": line, "scope": "optional" if optional else "required"}


# --- the image

def newest_files(archive, wanted):
    """{path: text} of the files of an OCI archive that `wanted` matches, from the last layer that has each."""
    found = {}
    with tarfile.open(archive) as image:
        def blob(digest):
            return image.extractfile("blobs/" + digest.replace(":", "/")).read()
        index = json.loads(image.extractfile("index.json").read())
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            data = blob(layer["digest"])
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            with tarfile.open(fileobj=io.BytesIO(data)) as files:
                for member in files:
                    path = member.name.removeprefix("./")
                    if member.isfile() and wanted.match(path):
                        found[path] = files.extractfile(member).read().decode(errors="replace")
    return found


def components_of_image(archive):
    files = newest_files(archive, re.compile(r"var/lib/dpkg/status$|usr/share/doc/[^/]+/copyright$"))
    for paragraph in files["var/lib/dpkg/status"].split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") != "install ok installed" or fields["Package"] == "mongosluice":
            continue
        text = files.get(f"usr/share/doc/{fields['Package']}/copyright", "")
        yield debian_component(fields["Package"], fields["Version"], fields["Architecture"], text,
                               library=fields.get("Section", "").endswith("libs"))


# --- the document

def document(version, kind, files, components):
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    time = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    unique = {one["bom-ref"]: one for one in components}
    if not unique:
        sys.exit(f"no components found for {kind}")
    program = f"pkg:generic/mongosluice@{version}"
    delivered = [{"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": one}]}
                 for name, one in hashes.items()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, program + kind + ''.join(hashes.values()))}",
        "metadata": {
            "timestamp": time,
            "component": {"type": "application", "bom-ref": program, "name": "mongosluice", "version": version,
                          "purl": program, "licenses": [{"license": {"id": "Apache-2.0"}}], "components": delivered},
        },
        "components": sorted(unique.values(), key=lambda one: one["bom-ref"]),
        "dependencies": [{"ref": program, "dependsOn": sorted(unique)}],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", type=Path, required=True)
    parser.add_argument("--libraries", type=Path, default=ROOT / ".cache/wheels")
    options = parser.parse_args()
    version = re.search(r"project\(mongosluice VERSION ([\d.]+)", read_text(ROOT / "CMakeLists.txt"))[1]

    def files(*patterns):
        return [file for pattern in patterns for file in sorted(options.dist.glob(pattern))]
    debs, statics = files("*.deb"), files("*-linux-*.tar.gz", "*.rpm")
    wheels, images = files("*.whl"), files("*-oci-*.tar")
    kinds = []
    if debs:
        kinds.append(("deb", debs, components_of_debs(debs, options.libraries)))
    if statics:
        kinds.append(("static", statics, components_inside(options.libraries)))
    if wheels:
        inside = [*components_inside(options.libraries), *python_requirements(wheels)]
        kinds.append(("wheels", wheels, inside))
    if images:
        kinds.append(("image", images, components_of_image(images[0])))
    for kind, about, components in kinds:
        bom = document(version, kind, about, components)
        path = options.dist / f"mongosluice-{version}-{kind}.cdx.json"
        path.write_text(json.dumps(bom, indent=1) + "\n")
        print(f"{path.name}: {len(bom['components'])} components of {len(about)} files")


if __name__ == "__main__":
    main()
