"""A network with nothing but a loopback interface, so that every port of a page is free. As a program: brings that
interface up, and goes on as the command that it is given."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1


def apart(command):
    """The command in such a network. The user is root there, and the same as before outside."""
    return ["unshare", "--map-root-user", "--net", sys.executable, "-B", __file__, *command]


def possible():
    """Whether this machine lets us."""
    if os.environ.get("VIDGATE_DOCS_PORTS") or not shutil.which("unshare"):
        return False
    return subprocess.run(apart(["true"]), capture_output=True).returncode == 0


def main(command):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, GET_FLAGS, asked))[1]
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh22x", b"lo", flags | UP))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
