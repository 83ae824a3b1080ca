"""The package installed under a systemd of its own, by the commands that an operator types."""

import os
import shutil
import subprocess

from made import ROOT, package

OPERATOR = r"""
export DEBIAN_FRONTEND=noninteractive
ask() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "http://127.0.0.1:$1/"; }
state() { systemctl show vidgate -p "$1" --value; }
# Tests of other things say how triggers and disks do.
install_it() { dpkg --force-unsafe-io --no-triggers -i /given/vidgate.deb >/given/dpkg.log 2>&1 </dev/null; }

install_it && echo "installed"
stat -c '%U:%G %a %n' /etc/vidgate /etc/vidgate/vidgate.toml /var/lib/vidgate
echo "no secret: $(ls /etc/vidgate /var/lib/vidgate | tr '\n' ' ')"
echo "$(state ActiveState), enabled: $(systemctl is-enabled vidgate), $(state StatusText), $(ask 8080)"
process=/proc/$(state MainPID)/status
echo "$(id -un "$(awk '/^Uid:/ { print $2 }' "$process")"): $(grep -E '^(CapEff|NoNewPrivs|Seccomp):' "$process" | tr -s '\t\n' ' ')"

# It is told, and reads the file in its own time.
reloads() { journalctl -u vidgate -o cat | grep -c 'the configuration was read anew'; }
systemctl reload vidgate && echo "reloaded"
for _ in $(seq 100); do [ "$(reloads)" -gt 0 ] && break; sleep 0.1; done
echo 'nonsense = 1' >>/etc/vidgate/vidgate.toml
systemctl reload vidgate 2>/dev/null || echo "a mistake is told: $(journalctl -u vidgate -o cat | grep -c 'unknown key `nonsense`'), and $(ask 8080)"
sed -i '$d' /etc/vidgate/vidgate.toml

# Its logs are turned over as its user, and it is told.
runuser -u vidgate -- sh -c 'echo line >/var/log/vidgate/access.log'
before=$(reloads)
logrotate --force /etc/logrotate.d/vidgate
for _ in $(seq 100); do [ "$(reloads)" -gt "$before" ] && break; sleep 0.1; done
echo "turned over: $(stat -c '%U %a %n' /var/log/vidgate/* | tr '\n' ' '), $(($(reloads) - before)) reload"

# The store, as the comments of the configuration say.
sed -i 's/^# \(\[store\]\|path = "\/var\|master_key = \)/\1/' /etc/vidgate/vidgate.toml
sed -n 's/^#   \(install .*\|runuser .*\)/\1/p' /etc/vidgate/vidgate.toml >/tmp/store.sh
sh -e /tmp/store.sh >/dev/null && systemctl restart vidgate && echo "with a store: $(state ActiveState), $(stat -c '%U %a' /var/lib/vidgate/vidgate.redb)"

# The master key by systemd, for the service alone.
install -d -m 700 /etc/credstore && mv /etc/vidgate/master.key /etc/credstore/vidgate.master.key
mkdir -p /etc/systemd/system/vidgate.service.d
{ echo '[Service]'; sed -n 's/^#\(LoadCredential=\)/\1/p' /lib/systemd/system/vidgate.service; } >/etc/systemd/system/vidgate.service.d/key.conf
sed -i 's|/etc/vidgate/master.key|/run/credentials/vidgate.service/master.key|' /etc/vidgate/vidgate.toml
systemctl daemon-reload && systemctl restart vidgate && echo "with the key from systemd: $(state ActiveState)"

# A socket that systemd keeps, at a port of the privileged.
mkdir -p /etc/systemd/system/vidgate@public.socket.d
printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:443\n' >/etc/systemd/system/vidgate@public.socket.d/address.conf
systemctl daemon-reload && systemctl stop vidgate && systemctl enable --now vidgate@public.socket 2>/dev/null
echo "the first caller starts it: $(ask 443), $(state ActiveState)"
(for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do ask 443; echo; done | sort | uniq -c) >/tmp/asked &
systemctl restart vidgate
wait
echo "asked over a restart: $(cat /tmp/asked)"
systemctl disable --now vidgate@public.socket 2>/dev/null
systemctl stop vidgate

# Without it, the service may open such a port itself; and comes back when it was killed.
sed -i 's/"127.0.0.1:8080"/"127.0.0.1:444"/' /etc/vidgate/vidgate.toml
systemctl start vidgate && echo "by itself: $(ask 444)"
systemctl kill -s KILL vidgate
for _ in $(seq 100); do [ "$(state NRestarts)" = 1 ] && [ "$(state ActiveState)" = active ] && break; sleep 0.1; done
echo "killed and back: $(ask 444)"

# What an operator wrote stays over an upgrade.
chmod 600 /etc/vidgate/vidgate.toml && chown vidgate /etc/vidgate/vidgate.toml
before=$(state MainPID)
install_it && echo "upgraded: $(stat -c '%U %a' /etc/vidgate/vidgate.toml), $(ask 444)"
[ "$before" = "$(state MainPID)" ] || echo "the new one runs"

echo secret >/etc/vidgate/own
dpkg -r vidgate >/given/dpkg.log 2>&1
[ -f /var/lib/vidgate/vidgate.redb ] && [ -f /etc/vidgate/vidgate.toml ] && echo "removed, and nothing lost: $(ask 444)"
dpkg -P vidgate >/given/dpkg.log 2>&1
echo "purged but for" $(find /etc /usr /var -path '*vidgate*' -newer /given/operator.sh ! -path '*/systemd/system/vidgate*.d*' | sort)
journalctl -u vidgate -o cat --no-pager | tail -n 60 >/given/journal
"""

SEEN = """\
installed
root:vidgate 750 /etc/vidgate
root:vidgate 640 /etc/vidgate/vidgate.toml
vidgate:vidgate 700 /var/lib/vidgate
no secret: /etc/vidgate: vidgate.toml  /var/lib/vidgate: 
active, enabled: enabled, serving, 501
vidgate: CapEff: 0000000000000400 NoNewPrivs: 1 Seccomp: 2 
reloaded
a mistake is told: 1, and 501
turned over: vidgate 640 /var/log/vidgate/access.log vidgate 644 /var/log/vidgate/access.log.1 , 1 reload
with a store: active, vidgate 600
with the key from systemd: active
the first caller starts it: 501, active
asked over a restart:      20 501
by itself: 501
killed and back: 501
upgraded: vidgate 600, 501
the new one runs
removed, and nothing lost: 000
purged but for /etc/credstore/vidgate.master.key /etc/vidgate /etc/vidgate/own
"""


def an_operator_installs_it_under_systemd_and_it_serves_until_it_is_purged(folder):
    spaces = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        return "only root can start a machine apart"
    given, room = folder / "given", folder / "room"
    given.mkdir()
    room.mkdir()
    shutil.copy(package(), given / "vidgate.deb")
    (given / "operator.sh").write_text(OPERATOR)
    machine = subprocess.run(
        [*spaces, "sh", ROOT / "tests/packaging/machine.sh", room, given],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
    )
    said = {name: (given / name).read_text() if (given / name).exists() else "" for name in ("seen", "errors", "dpkg.log", "journal")}
    assert said["seen"] == SEEN, f"{said['seen']}\n--- {machine.stdout}{machine.stderr}{said['errors']}{said['dpkg.log']}{said['journal']}"
    return None


TESTS = [an_operator_installs_it_under_systemd_and_it_serves_until_it_is_purged]
