"""The Debian package: what is in it, and what lintian says of it."""

import re

from made import MADE, ROOT, package, run, setting, unpacked


def the_package_holds_what_its_parts_name(folder):
    root = unpacked(folder)
    for key in ("ExecStart", "ExecReload"):
        for line in setting((root / "usr/lib/systemd/system/vidgate.service").read_text(), key):
            program, *arguments = line.split()
            assert program == "/bin/kill" or (root / program.removeprefix("/")).is_file(), line
            if "--config" in arguments:
                assert (root / arguments[-1].removeprefix("/")).is_file(), line
    for page in re.findall(r"file://(\S+)", (root / "usr/lib/systemd/system/vidgate.service").read_text()):
        assert (root / page.removeprefix("/")).is_file(), page
    assert len(list((root / "usr/share/man/man1").glob("vidgate*.1.gz"))) == len(list((MADE / "man").iterdir()))
    for path in (
        "usr/share/bash-completion/completions/vidgate",
        "usr/share/zsh/vendor-completions/_vidgate",
        "usr/share/fish/vendor_completions.d/vidgate.fish",
        "usr/share/doc/vidgate/copyright",
        "usr/share/doc/vidgate/third-party-licenses.gz",
        "usr/share/doc/vidgate/examples/vidgate.toml",
        "usr/share/doc/vidgate/examples/minimal.toml",
        "usr/share/doc/vidgate/examples/example-service.pub.pem",
    ):
        assert (root / path).is_file(), path
    (control,) = [run("dpkg-deb", "-I", package(), "conffiles")]
    assert sorted(control.split()) == ["/etc/logrotate.d/vidgate", "/etc/vidgate/vidgate.toml"], control
    manifest = (ROOT / "Cargo.toml").read_text()
    version = next(line.split('"')[1] for line in manifest.splitlines() if line.startswith("version ="))
    assert (ROOT / "packaging/debian/changelog").read_text().startswith(f"vidgate ({version}-"), version


def its_configuration_is_good(folder):
    said = run(unpacked(folder) / "usr/bin/vidgate", "check", "--config", folder / "etc/vidgate/vidgate.toml")
    assert "good: 1 listener" in said, said


def lintian_has_nothing_to_say(_):
    # mandoc and man have looked at the pages, which would take it longer than all the rest.
    command = ["lintian", "--allow-root", "--dont-check-part", "documentation/manual", "--fail-on", "error,warning", package()]
    assert run(*command) == ""


TESTS = [
    the_package_holds_what_its_parts_name,
    its_configuration_is_good,
    lintian_has_nothing_to_say,
]
