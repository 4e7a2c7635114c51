"""The proxy's program and its validator, as installed with the package."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "_proxy"
# The certificate paths of the linked OpenSSL (Debian's), and those of other systems.
OWN_CERTIFICATES = "/usr/lib/ssl/certs"
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                "/etc/ssl/cert.pem")


class NotThereError(RuntimeError):
    """The package was installed without the proxy."""


def program() -> Path:
    """The proxy: the path in MONGOSLUICE_BINARY, the package's own program, or the first one on the PATH that is
        not this package's command."""
    scripts = {os.path.realpath(sys.argv[0]), os.path.realpath(Path(sys.executable).with_name("mongosluice"))}
    given = os.environ.get("MONGOSLUICE_BINARY")
    if given and os.path.realpath(given) not in scripts:
        return Path(given)
    own = FOLDER / "mongosluice"
    if own.exists():
        return own
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which("mongosluice", path=folder or os.curdir)
        if found and os.path.realpath(found) not in scripts:
            return Path(found)
    raise NotThereError("this installation has no proxy (MONGOSLUICE_PROXY=none when it was built), and there is none on "
                        "the PATH; set MONGOSLUICE_BINARY to its path")


def validator() -> Path:
    """The library that checks documents."""
    given = os.environ.get("MONGOSLUICE_VALIDATOR")
    if given:
        return Path(given)
    own = FOLDER / "libmongosluice-validator.so"
    if own.exists():
        return own
    raise NotThereError("this installation has no validator (MONGOSLUICE_PROXY=none when it was built); "
                        "set MONGOSLUICE_VALIDATOR to the path of a libmongosluice-validator.so")


def environment() -> dict[str, str]:
    """This process's environment, with the paths of the system's certificates for the proxy."""
    made = dict(os.environ)
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & set(made) and not os.path.exists(OWN_CERTIFICATES):
        found = next((path for path in CERTIFICATES if os.path.exists(path)), None)
        if found is not None:
            made["SSL_CERT_FILE"] = found
    return made
