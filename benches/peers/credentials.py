"""The caller's credentials: an RSA key and JWTs made by the openssl command line, and a licence key."""

import base64
import json
import secrets
import subprocess
import time


class Credentials:
    """Everything a caller may present, and the files by which a proxy checks it."""

    def __init__(self, folder, openssl):
        self._openssl = openssl
        self._private = folder / "private.pem"
        self.public = folder / "public.pem"
        self._run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._private)
        self._run("pkey", "-in", self._private, "-pubout", "-out", self.public)
        self._private.chmod(0o600)
        self._license = f"v3.{secrets.token_urlsafe(24)}"
        key_file = folder / "license.key"
        key_file.write_text(self._license)
        key_file.chmod(0o600)

    def license_key(self):
        """The value of an Authorization header with the licence key."""
        return f"LKey {self._license}"

    def wrong_license_key(self):
        """The same shape, another key."""
        return f"LKey v3.{secrets.token_urlsafe(24)}"

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


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
