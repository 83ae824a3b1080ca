"""What the clients talk to: a gateway of the real binary, its certificates and keys, and a made-up upstream behind it."""

import http.client
import http.server
import json
import os
import pathlib
import queue
import ssl
import subprocess
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
USER = {"login": "john@example.com", "key": "QkFqTmtDclVkQTFVaUAz"}
SERVICE_ACCOUNTS = ("developer", "payer", "plain", "child")
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
SERVER = "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"


class Upstream(http.server.ThreadingHTTPServer):
    """Answers everything with the same JSON, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.seen = queue.SimpleQueue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self):
        """The requests since the last time."""
        seen = []
        while not self.seen.empty():
            seen.append(self.seen.get())
        return seen


class Asked(http.server.BaseHTTPRequestHandler):
    """One connection of the upstream."""

    protocol_version = "HTTP/1.1"
    # Otherwise the body waits for the acknowledgement of the head.
    disable_nagle_algorithm = True

    def do_GET(self):
        """Any request."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = urllib.parse.parse_qs(body.decode())
        self.server.seen.put({"request": f"{self.command} {self.path}", "headers": headers, "form": form})
        answer = json.dumps({"result": [], "count": 0, "total_count": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_):
        """Says nothing."""


class House:
    """A gateway with everything that it needs, in a folder of its own."""

    def __init__(self, binary, folder):
        self._binary, self.folder = binary, folder
        self.upstream = Upstream()
        self.ca = self._certificates()
        for account in SERVICE_ACCOUNTS:
            self._pair(account)
        config = (HERE / "vidgate.toml").read_text().replace("@UPSTREAM@", str(self.upstream.server_port))
        self._config = folder / "vidgate.toml"
        self._config.write_text(config)
        self._vidgate("multicam", "key", "new", folder / "multicam.key")
        self._vidgate("store", "init", "--config", self._config)
        users = [{"resource": "account", "id": "studio"}, {"resource": "user", "id": "john", "account": "studio", **USER}]
        (folder / "users.jsonl").write_text("".join(f"{json.dumps(user)}\n" for user in users))
        self._vidgate("import", folder / "users.jsonl", "--config", self._config)
        self._log = folder / "vidgate.log"
        with self._log.open("wb") as log:
            command = [binary, "serve", "--config", self._config]
            self._gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.address = f"localhost:{self._port()}"
        except BaseException:
            self.end()
            raise

    def end(self):
        """Ends the gateway."""
        self._gateway.terminate()
        try:
            self._gateway.wait(10)
        except subprocess.TimeoutExpired:
            self._gateway.kill()
            self._gateway.wait()

    def multicam_key(self, file="multicam.key"):
        """The public key of a pair, as an administrator would give it to a page: one line."""
        line = self._vidgate("multicam", "key", "show", self.folder / file).strip()
        return f"-----BEGIN PUBLIC KEY-----{line}-----END PUBLIC KEY-----"

    def another_multicam_key(self):
        """The public key of another gateway."""
        self._vidgate("multicam", "key", "new", self.folder / "another.key")
        return self.multicam_key("another.key")

    def ask(self, method, path, headers=(), form=None):
        """One request as a page would send it: status, header fields and JSON of the answer."""
        body = urllib.parse.urlencode(form) if form else None
        typed = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        trust = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(self.address, timeout=20, context=trust)
        try:
            connection.request(method, path, body, {**typed, **dict(headers)})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()

    def _port(self):
        """Which port the gateway took: it says so once it listens."""
        for _ in range(600):
            for line in self._log.read_text(errors="replace").splitlines():
                if '"listening"' in line and line.endswith("}"):
                    return int(json.loads(line)["address"].rpartition(":")[2])
            if self._gateway.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the gateway does not listen:\n{self._log.read_text(errors='replace')}")

    def _pair(self, name):
        """An RSA pair of a service account, and its half that the gateway has."""
        private = self.folder / f"{name}.pem"
        self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
        self._openssl("pkey", "-in", private, "-pubout", "-out", self.folder / f"{name}.pub.pem")

    def _certificates(self):
        """An authority and a server's certificate of it, as strict clients want them."""
        for name in ("ca", "server"):
            key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
            self._openssl("req", "-new", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")
        for name, extensions, issuer in (("ca", CA, ["-signkey", "ca.key"]), ("server", SERVER, ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"])):
            (self.folder / f"{name}.ext").write_text(extensions)
            self._openssl("x509", "-req", "-in", f"{name}.csr", *issuer, "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return str(self.folder / "ca.pem")

    def _openssl(self, *arguments):
        _run(["openssl", *arguments], self.folder)

    def _vidgate(self, *arguments):
        return _run([self._binary, *arguments], self.folder)


def encrypted(key, public_key, form="base64"):
    """A key as JSEncrypt encrypts it."""
    return _run(["node", HERE / "encrypt.js", form, public_key], HERE, key)


def _run(command, folder, given=None):
    """What a program says that must succeed."""
    command = [os.fspath(part) for part in command]
    done = subprocess.run(command, cwd=folder, input=given or "", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: {done.stdout}{done.stderr}")
    return done.stdout
