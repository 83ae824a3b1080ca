"""grpcio and websockets, as they are published, through the gateway: `run` installs them and starts this."""

import concurrent.futures
import http.client
import json
import pathlib
import queue
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import grpc
import websockets.exceptions
import websockets.sync.client
import websockets.sync.server

from house import House

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HERE = pathlib.Path(__file__).resolve().parent
KEY = "a-licence-key-of-the-clients"
PATIENCE = 20


# --- gRPC: one request with one answer, and streams both ways


def a_call_arrives_with_the_caller_and_comes_back_with_its_trailers(house):
    answer, call = house.unary("Say").with_call(b"hello", metadata=house.proof(), timeout=PATIENCE)
    assert answer == b"hello", answer
    assert ("told-last", "yes") in [tuple(pair) for pair in call.trailing_metadata()], call.trailing_metadata()
    seen = house.rpc.take()
    assert (seen["x-vidgate-account"], seen["x-vidgate-subject"]) == ("studio", "license_key:main"), seen
    assert "authorization" not in seen, seen


def an_error_of_the_upstream_is_the_callers(house):
    error = fails(lambda: house.unary("Fail")(b"", metadata=house.proof(), timeout=PATIENCE))
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today"), error


def a_stream_comes_piece_by_piece(house):
    pieces = house.channel.unary_stream("/echo.Echo/Count")(b"5", metadata=house.proof(), timeout=PATIENCE)
    # The upstream waits for leave between the pieces: each must have come before the next is made.
    for number in range(5):
        assert next(pieces) == str(number).encode()
        house.rpc.leave.put(None)
    assert list(pieces) == []


def a_conversation_goes_both_ways_at_once(house):
    words = queue.SimpleQueue()
    answers = house.channel.stream_stream("/echo.Echo/Talk")(iter(words.get, None), metadata=house.proof(), timeout=PATIENCE)
    for word in (b"one", b"two", b"x" * 200_000):
        words.put(word)
        assert next(answers) == word
    words.put(None)
    assert list(answers) == []


def without_a_key_and_with_a_wrong_one_a_call_is_unauthenticated(house):
    for proof in ((), house.proof("another-key")):
        error = fails(lambda: house.unary("Say")(b"hello", metadata=proof, timeout=PATIENCE))
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    assert house.rpc.seen.empty()


def a_stream_ends_within_a_second_of_its_key(house):
    key = secrets.token_hex(16)
    name = house.make_key(key)
    words = queue.SimpleQueue()
    answers = house.channel.stream_stream("/echo.Echo/Talk")(iter(words.get, None), metadata=house.proof(key), timeout=PATIENCE)
    words.put(b"one")
    assert next(answers) == b"one"
    house.revoke(name)
    begun = time.monotonic()
    fails(lambda: next(answers))
    words.put(None)
    assert time.monotonic() - begun < 5, "within a second, and what a busy machine adds"
    error = fails(lambda: house.unary("Say")(b"hello", metadata=house.proof(key), timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error


def fails(call):
    """The error that a call ends with."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"answered: {answer}")


# --- WebSocket


def what_is_said_on_a_socket_comes_back(house):
    with house.socket() as socket:
        for word in ("hello", b"\x00\x01", "x" * 300_000, ""):
            socket.send(word)
            assert socket.recv(PATIENCE) == word
        socket.send(["in ", "several ", "pieces"])
        assert socket.recv(PATIENCE) == "in several pieces"
        assert socket.ping().wait(PATIENCE), "the upstream answers a ping"
    assert house.talk.get(timeout=PATIENCE) == ("license_key:main", "studio", None)


def without_a_key_there_is_no_socket(house):
    for key in (None, "another-key"):
        try:
            house.socket(key).close()
        except websockets.exceptions.InvalidStatus as refusal:
            assert refusal.response.status_code == 401, refusal
        else:
            raise AssertionError("let in")
    assert house.talk.empty()


def a_socket_ends_with_1008_within_a_second_of_its_key(house):
    key = secrets.token_hex(16)
    name = house.make_key(key)
    with house.socket(key) as socket:
        socket.send("one")
        assert socket.recv(PATIENCE) == "one"
        house.revoke(name)
        begun = time.monotonic()
        try:
            said = socket.recv(PATIENCE)
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd.code == 1008, closed
        else:
            raise AssertionError(f"it goes on: {said}")
        assert time.monotonic() - begun < 5, "within a second, and what a busy machine adds"
    house.talk.get(timeout=PATIENCE)


# --- the house


class Echo(grpc.GenericRpcHandler):
    """An upstream that speaks gRPC, and remembers who was said to call."""

    def __init__(self):
        self.seen, self.leave = queue.SimpleQueue(), queue.SimpleQueue()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, details):
        """What answers a method."""
        self.seen.put(dict(details.invocation_metadata))
        return {
            "/echo.Echo/Say": grpc.unary_unary_rpc_method_handler(self._say),
            "/echo.Echo/Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "/echo.Echo/Count": grpc.unary_stream_rpc_method_handler(self._count),
            "/echo.Echo/Talk": grpc.stream_stream_rpc_method_handler(lambda words, _: words),
        }.get(details.method)

    def take(self):
        """The metadata of the one call since the last time."""
        seen = self.seen.get(timeout=PATIENCE)
        assert self.seen.empty()
        return seen

    @staticmethod
    def _say(word, context):
        context.set_trailing_metadata((("told-last", "yes"),))
        return word

    @staticmethod
    def _fail(_, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")

    def _count(self, most, _):
        for number in range(int(most)):
            yield str(number).encode()
            self.leave.get(timeout=PATIENCE)


class Streams(House):
    """A gateway before an upstream of gRPC and one of WebSocket."""

    def __init__(self, binary, folder):
        self._binary, self.folder, self.rpc, self.talk = binary, folder, Echo(), queue.SimpleQueue()
        self._socket = websockets.sync.server.serve(self._echo, "127.0.0.1", 0)
        threading.Thread(target=self._socket.serve_forever, daemon=True).start()
        self.ca = self._certificates()
        (folder / "admin.token").write_text(secrets.token_hex(32))
        (folder / "admin.token").chmod(0o600)
        config = (HERE / "streams.toml").read_text().replace("@RPC@", str(self.rpc.port))
        config = config.replace("@TALK@", str(self._socket.socket.getsockname()[1]))
        self._config = folder / "vidgate.toml"
        self._config.write_text(config)
        self._vidgate("store", "init", "--config", self._config)
        entries = [{"resource": "account", "id": "studio"}, {"resource": "license_key", "id": "main", "account": "studio", "key": KEY}]
        (folder / "entries.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
        self._vidgate("import", folder / "entries.jsonl", "--config", self._config)
        self._log = folder / "vidgate.log"
        with self._log.open("wb") as log:
            command = [binary, "serve", "--config", self._config]
            self._gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.address = f"localhost:{self._port()}"
            trust = grpc.ssl_channel_credentials(pathlib.Path(self.ca).read_bytes())
            self.channel = grpc.secure_channel(self.address, trust)
        except BaseException:
            self.end()
            raise

    def unary(self, method):
        """A call of a method with one request and one answer."""
        return self.channel.unary_unary(f"/echo.Echo/{method}")

    @staticmethod
    def proof(key=KEY):
        """What proves a call."""
        return (("authorization", f"LKey {key}"),)

    def socket(self, key=KEY):
        """A WebSocket through the gateway."""
        trust = ssl.create_default_context(cafile=self.ca)
        headers = {"Authorization": f"LKey {key}"} if key else {}
        # No proxy of this machine stands between.
        return websockets.sync.client.connect(f"wss://{self.address}/talk", ssl=trust, additional_headers=headers, proxy=None)

    def make_key(self, key):
        """Has a further license key made; its id."""
        name = secrets.token_hex(4)
        status = self._operate("POST", "/v1/license-keys", {"id": name, "account": "studio", "key": key})
        assert status == 201, status
        return name

    def revoke(self, name):
        """Has it taken away."""
        status = self._operate("DELETE", f"/v1/license-keys/{name}")
        assert status == 204, status

    def _operate(self, method, path, document=None):
        connection = http.client.HTTPConnection(self._admin(), timeout=PATIENCE)
        try:
            headers = {"Authorization": f"Bearer {(self.folder / 'admin.token').read_text()}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(document) if document else None, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _admin(self):
        """Where the admin API listens: the log says so."""
        lines = (line for line in self._log.read_text(errors="replace").splitlines() if line.endswith("}"))
        return next(entry["address"] for entry in map(json.loads, lines) if entry.get("message") == "the admin API is listening")

    def _echo(self, socket):
        fields, code = socket.request.headers, None
        try:
            for word in socket:
                socket.send(word)
        except websockets.exceptions.ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
        self.talk.put((fields.get("x-vidgate-subject"), fields.get("x-vidgate-account"), code))


TESTS = [
    a_call_arrives_with_the_caller_and_comes_back_with_its_trailers,
    an_error_of_the_upstream_is_the_callers,
    a_stream_comes_piece_by_piece,
    a_conversation_goes_both_ways_at_once,
    without_a_key_and_with_a_wrong_one_a_call_is_unauthenticated,
    a_stream_ends_within_a_second_of_its_key,
    what_is_said_on_a_socket_comes_back,
    without_a_key_there_is_no_socket,
    a_socket_ends_with_1008_within_a_second_of_its_key,
]


def main():
    """Runs every test against one gateway."""
    # Every polite way of ending this goes through the clean-up.
    for number in STOPPING:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="vidgate-streams-") as folder:
        house = Streams(str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(folder))
        try:
            for test in TESTS:
                while not house.rpc.seen.empty():
                    house.rpc.seen.get()
                try:
                    test(house)
                    print(f"ok      {test.__name__}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {test.__name__}\n{traceback.format_exc()}", flush=True)
        finally:
            house.channel.close()
            house.end()
    print(f"streams: {len(TESTS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
