"""The caller's credentials: an RSA key and JWTs made by the openssl command line, a license key, VXG's access tokens, an
API identifier with its secret, an app's signature, and an opaque token."""

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import time
import urllib.parse


IDENTIFIER = "8ded5a89051a9a01a389bcdf1e174"
PUBLIC_KEY = "123-456-789"
HOSTS = {"api": "web.example.test", "cam": "cam.example.test"}


class Credentials:
    """Everything a caller may present, and the files by which a proxy checks it."""

    def __init__(self, folder, openssl):
        self._openssl = openssl
        self._folder = folder
        self._private = folder / "private.pem"
        self.public = folder / "public.pem"
        self._run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._private)
        self._run("pkey", "-in", self._private, "-pubout", "-out", self.public)
        self._private.chmod(0o600)
        self._license = f"v3.{secrets.token_urlsafe(24)}"
        key_file = folder / "license.key"
        key_file.write_text(self._license)
        key_file.chmod(0o600)
        self._shares = {"camera": _share(1), "group": _share(2)}
        self._secret = secrets.token_hex(14)
        self._app_secret = secrets.token_hex(20)
        self._opaque = secrets.token_urlsafe(32)

    def certificate(self, kind):
        """A certificate for localhost with its key, made once: `p256` or `rsa2048`."""
        certificate, key = self._folder / f"{kind}.pem", self._folder / f"{kind}.key"
        if not key.exists():
            algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "p256" else ["rsa:2048"]
            subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
            self._run("req", "-x509", "-nodes", "-days", "30", "-newkey", *algorithm, *subject, "-keyout", key, "-out", certificate)
            key.chmod(0o600)
        return certificate, key

    def license_key(self):
        """The value of an Authorization header with the license key."""
        return f"LKey {self._license}"

    def wrong_license_key(self):
        """The same shape, another key."""
        return f"LKey v3.{secrets.token_urlsafe(24)}"

    def known(self):
        """What a configuration says of those that stand in it."""
        app = {"public_key": PUBLIC_KEY, "app_secret": self._app_secret}
        return {**self._shares, "identifier": IDENTIFIER, "secret": self._secret, **app, "opaque": self._opaque}

    def camera_token(self, share=None):
        """The value of an Authorization header with VXG's access token for a camera."""
        outer = {"camid": 248527, "cmngrid": 248964, "access": "all", "token": share or self._shares["camera"], **HOSTS}
        return f"Acc {base64.b64encode(json.dumps(outer).encode()).decode()}"

    def wrong_camera_token(self):
        """The same shape, another token."""
        return self.camera_token(_share(3))

    def group_token(self, share=None):
        """The value of an Authorization header with VXG's access token for a group of cameras."""
        outer = {"token": share or self._shares["group"], **HOSTS}
        return f"SI {base64.b64encode(json.dumps(outer).encode()).decode()}"

    def wrong_group_token(self):
        """The same shape, another token."""
        return self.group_token(_share(4))

    def basic(self, secret=None):
        """The value of an Authorization header with an API identifier and its secret."""
        return f"Basic {base64.b64encode(f'{IDENTIFIER}:{secret or self._secret}'.encode()).decode()}"

    def wrong_basic(self):
        """The same identifier, another secret."""
        return self.basic(secrets.token_hex(14))

    def hashed_user(self):
        """The same identifier and secret as a line of htpasswd."""
        digest = base64.b64encode(hashlib.sha1(self._secret.encode()).digest()).decode()
        return f"{IDENTIFIER}:{{SHA}}{digest}"

    def playback(self, secret=None, end=None):
        """A query with an app's signature for an hour from now."""
        signed = json.dumps({"api_key": PUBLIC_KEY, "expiration": end or int(time.time()) + 3600}, separators=(",", ":"))
        tag = hmac.new((secret or self._app_secret).encode(), signed.encode(), hashlib.sha1).hexdigest()
        return urllib.parse.urlencode({"signature_json": signed, "signature": tag})

    def forged_playback(self):
        """The same, signed with another secret."""
        return self.playback(secrets.token_hex(20))

    def expired_playback(self):
        """Rightly signed, over for an hour."""
        return self.playback(end=int(time.time()) - 3600)

    def opaque_token(self):
        """The value of an Authorization header with a token that was issued to a user."""
        return f"Bearer {self._opaque}"

    def wrong_opaque_token(self):
        """The same shape, another token."""
        return f"Bearer {secrets.token_urlsafe(32)}"

    def token(self):
        """The value of an Authorization header with a JWT that is valid for an hour from now."""
        return f"Bearer {self._signed(int(time.time()))}"

    def expired_token(self):
        """Rightly signed, two hours old."""
        return f"Bearer {self._signed(int(time.time()) - 7200)}"

    def forged_token(self):
        """A valid token whose signature has one bit turned."""
        head, _, signature = self._signed(int(time.time())).rpartition(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
        raw[10] ^= 1
        return f"Bearer {head}.{_base64url(bytes(raw))}"

    def key_set(self):
        """The public key as a JWKS."""
        modulus = self._run("rsa", "-pubin", "-in", self.public, "-noout", "-modulus").decode().strip().partition("=")[2]
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "bench", "n": _base64url(bytes.fromhex(modulus)), "e": "AQAB"}
        return json.dumps({"keys": [key]}, separators=(",", ":"))

    def _signed(self, issued):
        header = {"typ": "JWT", "alg": "RS256", "kid": "bench"}
        claims = {"iss": "acme", "iat": issued, "exp": issued + 3600}
        text = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        return f"{text}.{_base64url(self._run('dgst', '-sha256', '-sign', self._private, given=text.encode()))}"

    def _run(self, *arguments, given=None):
        command = [self._openssl, *(str(argument) for argument in arguments)]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def _share(number):
    """A share token of VXG's shape that ends in a hundred years; who made it is no matter where it is looked up."""
    payload = _base64url(json.dumps({"si": number}).encode())
    return f"share.{payload}.{int(time.time()):x}tbc1fab00.{_base64url(secrets.token_bytes(20))}"


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
