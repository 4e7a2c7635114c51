"""Makes certificates with the openssl program on demand."""

import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


def _openssl(*words, text=None):
    done = subprocess.run(["openssl", *map(str, words)], input=text, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        self.ca_file = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-keyout", self._key, "-out", self.ca_file, "-days", 2,
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, hosts=("127.0.0.1", "localhost"), days=None):
        """days: (from, to), counted from now; default: two days from now on."""
        certificate = Certificate(self, name, hosts)
        if days is not None:
            certificate.change_validity(self.folder / "ca.key", *days)
        return certificate


class Certificate:
    """cert_file, key_file, and both in one: pem_file."""

    def __init__(self, authority, name, hosts):
        folder = authority.folder
        self.ca_file = authority.ca_file
        self.cert_file = folder / f"{name}.crt"
        self.key_file = folder / f"{name}.key"
        self.pem_file = folder / f"{name}.pem"
        request = folder / f"{name}.csr"
        extensions = folder / f"{name}.ext"
        names = [f"{'IP' if host[0].isdigit() else 'DNS'}:{host}" for host in hosts]
        extensions.write_text(f"subjectAltName={','.join(names)}\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-keyout", self.key_file, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", authority.ca_file,
                 "-CAkey", folder / "ca.key", "-CAcreateserial", "-out", self.cert_file,
                 "-days", 2, "-extfile", extensions)
        self._join()

    def _join(self):
        self.pem_file.write_bytes(self.key_file.read_bytes() + self.cert_file.read_bytes())

    def change_validity(self, ca_key, start, end):
        """Signs it again. The openssl program sets no times in the past."""
        old = x509.load_pem_x509_certificate(self.cert_file.read_bytes())
        key = serialization.load_pem_private_key(ca_key.read_bytes(), None)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        builder = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(old.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=start))
                   .not_valid_after(now + datetime.timedelta(days=end)))
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        self.cert_file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self._join()

    def expiry(self):
        """Seconds since 1970."""
        return int(x509.load_pem_x509_certificate(self.cert_file.read_bytes()).not_valid_after_utc.timestamp())
