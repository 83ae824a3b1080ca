"""The units of systemd: understood, closed as far as it goes, and started by a socket."""

import os
import re
import shutil
import socket

from made import PATIENCE, ROOT, Running, free_ports, get, run, setting, unpacked

UNITS = ROOT / "packaging" / "systemd"
SERVICE = UNITS / "vidgate.service"
# Of 10; the network, which is its work, is most of what is left.
EXPOSURE = 1.7


def the_units_are_understood(folder):
    unpacked(folder)
    # What they order themselves by.
    system = folder / "usr/lib/systemd/system"
    shutil.copytree("/usr/lib/systemd/system", system, dirs_exist_ok=True, symlinks=True, ignore=lambda _, names: {n for n in names if n.startswith("vidgate")})
    (folder / "bin").mkdir()
    shutil.copy("/bin/kill", folder / "bin/kill")
    said = run("sh", "-c", 'systemd-analyze verify --man=no --root="$1" vidgate.service vidgate@public.socket 2>&1', "sh", folder)
    assert said == "", said


def the_service_exposes_little(_):
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", SERVICE)
    exposure = float(re.search(r"Overall exposure level for .*: ([0-9.]+)", said)[1])
    assert exposure <= EXPOSURE, said


def it_has_time_for_its_drain(_):
    (stop,) = setting(SERVICE.read_text(), "TimeoutStopSec")
    # The default of `drain`.
    assert int(stop.removesuffix("s")) > 30, stop


def a_socket_starts_it_and_it_says_that_it_is_ready(folder):
    root, (port,) = unpacked(folder / "root"), free_ports(1)
    program, *arguments = setting(SERVICE.read_text(), "ExecStart")[0].split()
    config = root / arguments[-1].removeprefix("/")
    # Nothing can be bound there: the socket goes by the name of the listener, as in vidgate@.socket.
    config.write_text(config.read_text().replace('"127.0.0.1:8080"', '"192.0.2.1:80"'))
    assert setting((UNITS / "vidgate@.socket").read_text(), "FileDescriptorName") == ["%i"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(folder / "notify"))
        notices.settimeout(PATIENCE)
        activate = ["systemd-socket-activate", "--fdname=public", f"--listen=127.0.0.1:{port}", f"--setenv=NOTIFY_SOCKET={folder}/notify"]
        with (folder / "log").open("wb") as log, Running(
            *activate, root / program.removeprefix("/"), *arguments[:-1], config, stderr=log, env=dict(os.environ)
        ):
            # The first one starts it.
            assert get(port, "/") == 501, (folder / "log").read_text()
            assert b"READY=1" in notices.recv(4096)


TESTS = [
    the_units_are_understood,
    the_service_exposes_little,
    it_has_time_for_its_drain,
    a_socket_starts_it_and_it_says_that_it_is_ready,
]
