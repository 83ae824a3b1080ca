"""The columns of the report: which program, with which configuration, asked with which credential."""

import dataclasses
import os

import machine
from machine import HERE, Absent

# Relative to what each target is stated: (ours, theirs, CPU a request at most this many times theirs).
TARGETS = [
    ("vidgate-lkey", "nginx", 1.05),
    ("vidgate-lkey", "haproxy", 1.10),
    ("vidgate-jwt", "nginx", 1.10),
    ("vidgate-jwt", "haproxy-jwt", 0.50),
    ("vidgate-jwt", "envoy-jwt", 0.45),
    ("vidgate-acc", "nginx", 1.10),
    ("vidgate-si", "nginx", 1.10),
    ("vidgate-basic", "nginx", 1.10),
    ("vidgate-basic", "traefik-basic", 0.35),
    ("vidgate-playback", "nginx", 1.15),
    ("vidgate-opaque", "nginx", 1.15),
    ("vidgate-role", "nginx", 1.15),
    ("vidgate-told", "vidgate-lkey", 1.05),
]
# Of handshakes: CPU of a full one, at most so many times that of nginx.
HANDSHAKE_TARGET = 1.0


@dataclasses.dataclass
class Peer:
    """One column."""

    name: str
    what: str
    program: str
    credential: str = ""
    # Where the JSON is asked for, and where it is refused (403) with the very same credential.
    path: str = "/json"
    forbidden: str = ""
    # What its configuration is made of. Of vidgate, `store` asks for a store and names the file of its entries, if any.
    options: dict = dataclasses.field(default_factory=dict)
    modes: tuple = ("relay", "stream", "idle")

    def ours(self):
        """True for vidgate itself."""
        return self.program == "vidgate"


def columns():
    """All of them, in the order of the report."""
    return [
        Peer("vidgate-lkey", "license key", "vidgate", "license_key", options={"authenticate": "license", "scheme": "vidgate-lkey.toml"}),
        Peer("vidgate-jwt", "RS256 JWT, the same token again and again", "vidgate", "token", options={"authenticate": "service", "scheme": "vidgate-jwt.toml"}),
        _limited("acc", "camera token", "camera_token"),
        _limited("si", "group token", "group_token"),
        _limited("basic", "identifier and secret", "basic"),
        Peer(
            "vidgate-playback",
            "signature of an app",
            "vidgate",
            "playback",
            options={"authenticate": "caller", "scheme": "vidgate-playback.toml", "rule": 'scope = { read = ["playback"] }'},
            modes=("relay",),
        ),
        Peer(
            "vidgate-opaque",
            "opaque token of a user",
            "vidgate",
            "opaque_token",
            options={"authenticate": "caller", "scheme": "vidgate-opaque.toml", "store": "vidgate-opaque.jsonl"},
            modes=("relay",),
        ),
        Peer(
            "vidgate-role",
            "RS256 JWT, the role of the method in the path",
            "vidgate",
            "token",
            "/platform_api/GetUsers?application_id=4152784",
            "/platform_api/DelApplication?application_id=4152784",
            {
                "authenticate": "caller",
                "scheme": "vidgate-role.toml",
                "path": "/platform_api/{method}",
                "rule": 'operation = { path = "method", roles = "vox" }',
            },
            modes=("relay",),
        ),
        Peer(
            "vidgate-told",
            "license key; access log, metrics and refusals on record",
            "vidgate",
            "license_key",
            options={
                "authenticate": "license",
                "scheme": "vidgate-lkey.toml",
                "tells": 'access = { file = "access.log" }\nrefusals = 1024',
                "counts": "vidgate-counts.toml",
            },
            modes=("relay",),
        ),
        Peer("vidgate-open", "plain relay", "vidgate", options={"authenticate": "open"}),
        Peer("nginx", "plain relay", "nginx"),
        Peer("nginx-unbuffered", "plain relay, proxy_buffering off", "nginx", options={"extra": "proxy_buffering off;"}, modes=("stream",)),
        Peer("haproxy", "plain relay", "haproxy", options={"mode": "http"}),
        Peer("haproxy-tcp", "relay of bytes: the floor", "haproxy", options={"mode": "tcp"}),
        Peer("haproxy-jwt", "jwt_verify RS256", "haproxy", "token", options={"mode": "http", "rules": "haproxy-jwt.rules"}, modes=("relay",)),
        Peer("envoy", "plain relay", "envoy"),
        Peer("envoy-jwt", "jwt_authn, local_jwks", "envoy", "token", options={"filter": "envoy-jwt.filter"}, modes=("relay",)),
        Peer(
            "envoy-jwt-cached",
            "jwt_authn, local_jwks, jwt_cache_config",
            "envoy",
            "token",
            options={"filter": "envoy-jwt.filter", "cache": "jwt_cache_config: { jwt_cache_size: 100 }"},
            modes=("relay",),
        ),
        Peer("caddy", "plain relay", "caddy"),
        Peer("traefik-basic", "basicAuth {SHA}, rateLimit", "traefik", "basic", modes=("relay",)),
        *(_secured(program, kind, version) for kind in ("p256", "rsa2048") for version in VERSIONS for program in ("vidgate", "nginx")),
    ]


# What a handshake agrees on, by what openssl calls the version on its command line: as nginx, openssl and its ciphers say it.
VERSIONS = {
    "tls1_3": ("TLSv1.3", {"p256": "TLS_AES_256_GCM_SHA384", "rsa2048": "TLS_AES_256_GCM_SHA384"}),
    "tls1_2": ("TLSv1.2", {"p256": "ECDHE-ECDSA-AES256-GCM-SHA384", "rsa2048": "ECDHE-RSA-AES256-GCM-SHA384"}),
}


def _secured(program, kind, version):
    """A column of full handshakes with a certificate of this kind, in one version of TLS."""
    options = {"authenticate": "open", "tls": (kind, version)}
    name, said = version.replace("_", "."), VERSIONS[version][0]
    return Peer(f"{program}-{kind}-{name}", f"{said}, {kind}", program, options=options, modes=("handshakes",))


def _limited(kind, what, credential):
    """A column of vidgate with a rate limit and an hourly quota, which lies in a store."""
    limited = {"limits": "vidgate-limits.toml", "rule": 'limits = ["rate", "hourly"]', "store": ""}
    options = {"authenticate": "caller", "scheme": f"vidgate-{kind}.toml", **limited}
    return Peer(f"vidgate-{kind}", f"{what}, rate limit, hourly quota", "vidgate", credential, options=options, modes=("relay",))


class Programs:
    """Where each program is; asked for once, and its absence remembered with the reason."""

    def __init__(self, vidgate):
        self._vidgate = vidgate
        self._found = {}

    def path(self, name):
        """The path of a program, or `Absent`."""
        if name not in self._found:
            try:
                self._found[name] = self._find(name)
            except Absent as reason:
                self._found[name] = reason
        found = self._found[name]
        if isinstance(found, Absent):
            raise found
        return found

    def _find(self, name):
        if name == "vidgate":
            return machine.vidgate(self._vidgate)
        wheels = {"envoy": machine.envoy, "traefik": machine.traefik, "caddy": machine.caddy}
        return wheels[name]() if name in wheels else machine.program(name, {"h2load": "nghttp2-client"}.get(name, name))

    def versions(self):
        """Name and version of every program that was found."""
        flag = {"nginx": "-v", "haproxy": "-v", "wrk": "-v", "envoy": "--version", "vidgate": "--version", "openssl": "version", "traefik": "version", "caddy": "version"}
        present = {name: path for name, path in self._found.items() if not isinstance(path, Absent)}
        return {name: machine.version([path, flag[name]]) for name, path in present.items()}


def template(file, /, **values):
    """A file of config/ with its @PLACES@ filled in."""
    text = (HERE / "config" / file).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    return text


class Bench:
    """One run's folder, ports, credentials and processes; ends every process that it started."""

    def __init__(self, folder, files, programs, credentials, cores):
        self.folder = folder
        self.files = files
        self.programs = programs
        self.credentials = credentials
        self.cores = cores
        self.upstream_port = 0
        self.ports = {}
        self.running = {}
        self._taken = set()

    def start_upstream(self, json):
        """The one upstream of all."""
        self.upstream_port = machine.free_port(self._taken)
        config = self.folder / "upstream.conf"
        values = {"port": self.upstream_port, "files": self.files, "json": json.decode()}
        config.write_text(template("upstream.conf", dir=self.folder, user=_nginx_user(), **values))
        command = [self.programs.path("nginx"), "-p", self.folder, "-c", config, "-e", self.folder / "upstream.log"]
        self._start("upstream", command, self.cores.upstream, self.upstream_port)

    def start(self, peer, under=()):
        """Starts a column's program on a port of its own, `under` another one if that is said, or raises `Absent`."""
        path = self.programs.path(peer.program)
        port = self.ports[peer.name] = machine.free_port(self._taken)
        command = getattr(self, f"_{peer.program}")(peer, path, port)
        return self._start(peer.name, [*under, *command], self.cores.proxy, port)

    def _start(self, name, command, core, port):
        process = self.running[name] = machine.Process(name, command, core, self.folder)
        process.wait_until_listening(port)
        return process

    def end(self, name):
        """Ends one."""
        self.running.pop(name).end()

    def end_all(self):
        """Ends all, whatever happens to one of them."""
        while self.running:
            self.running.popitem()[1].end()

    def _vidgate(self, peer, path, port):
        config, options, known = self.folder / f"{peer.name}.toml", peer.options, self.credentials.known()
        parts = [options.get("scheme"), options.get("limits"), "vidgate-store.toml" if "store" in options else None, options.get("counts")]
        values = {
            "authenticate": options["authenticate"],
            "path": options.get("path", "/{*rest}"),
            "rule": options.get("rule", ""),
            "tells": options.get("tells", "access = false\nrefusals = 0"),
            "tls": self._tls(peer, "vidgate-tls.toml"),
            "parts": "\n".join(template(part, name=peer.name, **known) for part in parts if part),
        }
        config.write_text(template("vidgate.toml", port=port, upstream=self.upstream_port, **values))
        if "store" in options:
            self._fill(path, peer, config, template(options["store"], **known) if options["store"] else "")
        return [path, "serve", "--config", config]

    def _fill(self, path, peer, config, entries):
        """A new store with what cannot be declared."""
        for ending in ("redb", "key"):
            (self.folder / f"{peer.name}.{ending}").unlink(missing_ok=True)
        machine.run([path, "store", "init", "--config", config])
        if entries:
            file = self.folder / f"{peer.name}.jsonl"
            file.write_text(entries)
            file.chmod(0o600)
            machine.run([path, "import", file, "--config", config])

    def _nginx(self, peer, path, port):
        config = self.folder / f"{peer.name}.conf"
        values = {"port": port, "upstream": self.upstream_port, "extra": peer.options.get("extra", "")}
        values |= {"tls": self._tls(peer, "nginx-tls.conf"), "listen": "ssl" if "tls" in peer.options else ""}
        config.write_text(template("nginx.conf", dir=self.folder, name=peer.name, user=_nginx_user(), **values))
        return [path, "-p", self.folder, "-c", config, "-e", self.folder / f"{peer.name}.error.log"]

    def _tls(self, peer, file):
        """What a configuration says of TLS, if this column speaks it."""
        if "tls" not in peer.options:
            return ""
        kind, version = peer.options["tls"]
        certificate, key = self.credentials.certificate(kind)
        return template(file, certificate=certificate, key=key, protocol=VERSIONS[version][0])

    def _haproxy(self, peer, path, port):
        rules, mode = peer.options.get("rules"), peer.options["mode"]
        config = self.folder / f"{peer.name}.cfg"
        values = {
            "mode": mode,
            "rules": template(rules, public_key=self.credentials.public) if rules else "",
            "reuse": "    http-reuse always" if mode == "http" else "",
        }
        config.write_text(template("haproxy.cfg", port=port, upstream=self.upstream_port, **values))
        return [path, "-db", "-f", config]

    def _envoy(self, peer, path, port):
        wanted, config = peer.options.get("filter"), self.folder / f"{peer.name}.yaml"
        values = {"jwks": self.credentials.key_set(), "cache": peer.options.get("cache", "")}
        filters = template(wanted, **values) if wanted else ""
        config.write_text(template("envoy.yaml", port=port, upstream=self.upstream_port, filters=filters))
        return [path, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]

    def _caddy(self, peer, path, port):
        config = self.folder / f"{peer.name}.caddyfile"
        config.write_text(template("caddy.caddyfile", port=port, upstream=self.upstream_port))
        return ["env", "GOMAXPROCS=1", f"HOME={self.folder}", path, "run", "--adapter", "caddyfile", "--config", config]

    def _traefik(self, peer, path, port):
        config = self.folder / f"{peer.name}.yaml"
        values = {"upstream": self.upstream_port, "user": self.credentials.hashed_user()}
        config.write_text(template("traefik.yaml", **values))
        flags = [f"--entryPoints.bench.address=127.0.0.1:{port}", f"--providers.file.filename={config}", "--log.level=ERROR"]
        quiet = ["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]
        return ["env", "GOMAXPROCS=1", path, *flags, *quiet]


def _nginx_user():
    # Started by root, nginx would change to a user who may not enter the run's folder.
    return "user root;" if os.geteuid() == 0 else ""
