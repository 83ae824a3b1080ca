# Starts systemd in a machine that is this one, but for its processes, its network and whatever is written, which is kept
# apart and thrown away. Run by `installed.py` in namespaces of its own.
# Arguments: a folder to mount things at, and one with the package (vidgate.deb) and the script `operator.sh`, which is run as
# root once the machine is up, and whose words go to `seen`.
set -eu
room=$1 given=$2

mount -t tmpfs tmpfs "$room"
mkdir "$room/upper" "$room/work" "$room/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" "$room/root"
root=$room/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind /dev "$root/dev"
mkdir "$root/given"
mount --bind "$given" "$root/given"
ip link set lo up
# What systemd mounts for services reaches them so.
mount --make-rshared "$root"

# Of this machine, no service comes along, and nobody keeps one from being started.
rm -rf "$root/usr/sbin/policy-rc.d" "$root/etc/systemd/system" "$root/etc/vidgate" "$root/var/lib/vidgate"
mkdir "$root/etc/systemd/system"
for unit in console-getty.service getty@tty1.service systemd-logind.service systemd-udevd.service systemd-udev-trigger.service; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
cat >"$root/etc/systemd/system/operator.service" <<'UNIT'
[Unit]
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh -u /given/operator.sh
ExecStopPost=/bin/systemctl --force --force poweroff
TimeoutStartSec=240
StandardOutput=file:/given/seen
StandardError=file:/given/errors
UNIT
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=vidgate-test chroot "$root" /lib/systemd/systemd --unit=operator.service --log-target=null --show-status=0
