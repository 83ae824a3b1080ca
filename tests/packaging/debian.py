"""The Debian package: what is in it, what lintian says, and what installing, starting and removing it does."""

import os
import shutil
import subprocess

from made import MADE, ROOT, package, run, setting, unpacked

# In a machine that is this one, with what is written kept apart and thrown away, and a network of its own.
ELSEWHERE = r"""
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
ip link set lo up
cp "$2" "$1/root/vidgate.deb"
cp "$3" "$1/root/install"
exec chroot "$1/root" sh -eu /install
"""

# What an operator does, and what is to be seen then.
INSTALL = r"""
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
dpkg --force-unsafe-io --no-triggers -i /vidgate.deb >/install.log 2>&1 || { cat /install.log; exit 1; }
stat -c '%U:%G %a %n' /etc/vidgate /etc/vidgate/vidgate.toml
getent passwd vidgate | cut -d: -f6,7
test ! -e /var/lib/vidgate && echo "no secret and no store"

# As the unit starts it: its user, the folder that systemd would make, its command.
install -d -m 700 -o vidgate -g vidgate /var/lib/vidgate
as_vidgate() { setpriv --reuid=vidgate --regid=vidgate --clear-groups "$@"; }
as_vidgate vidgate check --config /etc/vidgate/vidgate.toml
setpriv --reuid=vidgate --regid=vidgate --clear-groups $(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/vidgate.service) 2>/serve.log &
for _ in $(seq 100); do
    status=$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/) && break
    sleep 0.1
done
echo "served: $status"
kill -HUP $!
kill -TERM $!
wait $! && echo "ended as it was told"

# The store, as the comments of the configuration say.
sed -i 's/^# \(\[store\]\|path = "\/var\|master_key = \)/\1/' /etc/vidgate/vidgate.toml
sed -n 's/^#   \(install .*\|runuser .*\)/\1/p' /etc/vidgate/vidgate.toml >/store.sh
cat /store.sh
sh -e /store.sh >/dev/null
as_vidgate vidgate check --config /etc/vidgate/vidgate.toml

# What an operator wrote stays over an upgrade, with whom it belongs to.
chmod 600 /etc/vidgate/vidgate.toml && chown vidgate /etc/vidgate/vidgate.toml
dpkg --force-unsafe-io --no-triggers -i /vidgate.deb >/install.log 2>&1 </dev/null || { cat /install.log; exit 1; }
grep -c '^\[store\]' /etc/vidgate/vidgate.toml
stat -c '%U:%G %a %n' /etc/vidgate/vidgate.toml

dpkg -r vidgate >/dev/null 2>&1
test -f /etc/vidgate/vidgate.toml && test -f /var/lib/vidgate/vidgate.redb && echo "removed, and nothing lost"
dpkg -P vidgate >/dev/null 2>&1
echo "purged, and left what an operator has put there:"
find /etc /run /usr/bin /usr/lib/systemd /usr/share /var -path '*vidgate*' -newer /install -print | sort
"""

SEEN = """\
root:vidgate 750 /etc/vidgate
root:vidgate 640 /etc/vidgate/vidgate.toml
/nonexistent:/usr/sbin/nologin
no secret and no store
/etc/vidgate/vidgate.toml: good: 1 listener, 0 upstreams, 1 route
served: 501
ended as it was told
install -m 640 -o root -g vidgate /dev/null /etc/vidgate/master.key && vidgate store key > /etc/vidgate/master.key
runuser -u vidgate -- vidgate store init --config /etc/vidgate/vidgate.toml
/etc/vidgate/vidgate.toml: good: 1 listener, 0 upstreams, 1 route
1
vidgate:vidgate 600 /etc/vidgate/vidgate.toml
removed, and nothing lost
purged, and left what an operator has put there:
/etc/vidgate
/etc/vidgate/master.key
"""


def the_package_holds_what_its_parts_name(folder):
    root = unpacked(folder)
    for key in ("ExecStart", "ExecReload"):
        for line in setting((root / "usr/lib/systemd/system/vidgate.service").read_text(), key):
            program, *arguments = line.split()
            assert program == "/bin/kill" or (root / program.removeprefix("/")).is_file(), line
            if "--config" in arguments:
                assert (root / arguments[-1].removeprefix("/")).is_file(), line
    assert len(list((root / "usr/share/man/man1").glob("vidgate*.1.gz"))) == len(list((MADE / "man").iterdir()))
    for path in (
        "usr/share/bash-completion/completions/vidgate",
        "usr/share/zsh/vendor-completions/_vidgate",
        "usr/share/fish/vendor_completions.d/vidgate.fish",
        "usr/share/doc/vidgate/copyright",
        "usr/share/doc/vidgate/third-party-licenses.gz",
        "usr/share/doc/vidgate/examples/vidgate.toml",
    ):
        assert (root / path).is_file(), path
    (control,) = [run("dpkg-deb", "-I", package(), "conffiles")]
    assert control.split() == ["/etc/vidgate/vidgate.toml"], control
    manifest = (ROOT / "Cargo.toml").read_text()
    version = next(line.split('"')[1] for line in manifest.splitlines() if line.startswith("version ="))
    assert (ROOT / "packaging/debian/changelog").read_text().startswith(f"vidgate ({version}-"), version


def its_configuration_is_good(folder):
    said = run(unpacked(folder) / "usr/bin/vidgate", "check", "--config", folder / "etc/vidgate/vidgate.toml")
    assert "good: 1 listener" in said, said


def lintian_has_nothing_to_say(_):
    said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", str(package())], capture_output=True, text=True, timeout=120, check=False)
    assert (said.returncode, said.stdout) == (0, ""), said.stdout + said.stderr


def it_installs_starts_keeps_what_was_written_and_leaves(folder):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return "only root can install a package in a machine apart"
    (folder / "install").write_text(INSTALL)
    room = folder / "room"
    room.mkdir()
    script = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", ELSEWHERE, "sh", room, package(), folder / "install"]
    seen = run(*script)
    assert seen == SEEN, seen
    return None


TESTS = [
    the_package_holds_what_its_parts_name,
    its_configuration_is_good,
    lintian_has_nothing_to_say,
    it_installs_starts_keeps_what_was_written_and_leaves,
]
