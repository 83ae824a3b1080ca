"""Completions in the shells that read them, and manual pages under what checks them."""

import os

from made import MADE, ROOT, VIDGATE, run

# What clap_mangen and pages without a date are known for; nothing of it is seen by a reader.
KNOWN = ("missing date, using", "skipping paragraph macro: br ")


def bash_completes_commands_options_and_values(_):
    for words, expected in (
        (["vidgate", "che"], "check"),
        (["vidgate", "store", "ini"], "init"),
        (["vidgate", "serve", "--con"], "--config"),
        (["vidgate", "completions", "f"], "fish"),
    ):
        given = " ".join(f"'{word}'" for word in words)
        script = (
            f"source '{MADE}/completions/bash'; COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; "
            f"_vidgate vidgate '{words[-1]}' '{words[-2]}'; echo \"${{COMPREPLY[*]}}\"; complete -p vidgate"
        )
        offered, bound = run("bash", "--norc", "-c", script).splitlines()
        assert offered == expected, f"{words}: {offered}"
        assert "-F _vidgate" in bound, bound


def fish_completes_commands(folder):
    script = f"source '{MADE}/completions/fish'; complete -C 'vidgate store ini'"
    offered = run("fish", "--no-config", "-c", script, env={**os.environ, "HOME": str(folder)})
    assert offered.startswith("init\t"), offered


def zsh_finds_the_completions_in_a_folder_of_its_own(folder):
    (folder / "_vidgate").write_text((MADE / "completions" / "zsh").read_text())
    script = f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; autoload +X _vidgate; echo ${{_comps[vidgate]}}"
    assert run("zsh", "-f", "-c", script).strip() == "_vidgate"


def manual_pages_are_clean(_):
    pages = sorted((MADE / "man").iterdir())
    assert len(pages) > 40, pages
    # It exits with 2 where there is a warning, also one that is known.
    said = run("sh", "-c", 'mandoc -T lint -W warning "$@" || test $? -le 2', "sh", *pages)
    unknown = [line for line in said.splitlines() if not any(known in line for known in KNOWN)]
    assert not unknown, "\n".join(unknown)


def man_shows_a_page_without_a_warning(_):
    page = MADE / "man" / "vidgate-store-init.1"
    script = 'man --warnings -E UTF-8 -l "$1" 2>&1 >/dev/null'
    assert run("sh", "-c", script, "sh", page, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}) == ""
    assert "vidgate store init" in run("man", "-l", page, env={**os.environ, "MANPAGER": "cat"})


def the_first_page_is_printed_and_scripts_are_sound(_):
    assert run(VIDGATE, "man") == (MADE / "man" / "vidgate.1").read_text()
    scripts = [ROOT / "packaging" / name for name in ("deb", "licenses", "debian/postinst", "debian/prerm", "debian/postrm")]
    run("shellcheck", *scripts, ROOT / "tests" / "packaging" / "run")


TESTS = [
    bash_completes_commands_options_and_values,
    fish_completes_commands,
    zsh_finds_the_completions_in_a_folder_of_its_own,
    manual_pages_are_clean,
    man_shows_a_page_without_a_warning,
    the_first_page_is_printed_and_scripts_are_sound,
]
