"""Makes certificates with the openssl program on demand."""

import subprocess


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

    def issue(self, name, hosts=("127.0.0.1", "localhost")):
        return Certificate(self, name, hosts)


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
        self.pem_file.write_bytes(self.key_file.read_bytes() + self.cert_file.read_bytes())
