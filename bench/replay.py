"""Runs the commands of a page and compares what they print with what the page says.

Commands stand in blocks of this form, what each prints below it:

    ```console
    $ bioforge data list
    no data yet; import some: bioforge data import bios FILE, or see it all: bioforge demo
    ```

A command that ends in a backslash goes on in the next line, after `> `. All blocks of a page are one session of
bash: variables and the working folder stay. What is said on stderr counts as well. Every command must succeed.
Blocks with the title `Yours will differ` must print something; what they print is not compared. Blocks of other
languages are not run.

`python -m bench.replay docs/tutorial.md` compares; `--write` puts what was printed into the page.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioforge.paths import assets

REPOSITORY = Path(__file__).parents[1]
HERE, HOME, ASSETS = "/home/you/tutorial", "/home/you/.local/share/bioforge", "/home/you/bioforge/assets"
"""What a page calls the working folder, the data folder and the bundled data."""
MAY_DIFFER = 'title="Yours will differ"'
RELATIVE, ABSOLUTE = 0.02, 0.05
"""Numbers with a decimal point agree within either; whole numbers are the same."""
_BLOCK = re.compile(r"^```console(?P<head>.*)\n(?P<body>(?:.*\n)*?)```$", re.MULTILINE)
_NUMBER = re.compile(r"(-?\d[\d,]*\.?\d*(?:e[+-]\d+)?)")
_SAID = "step|sample|validation|checkpoint|warning|saving|getting|finished|tokenizing"
CHANCE: tuple[tuple[str, str], ...] = (
    # What a text says depends on its last bit; that one was written does not.
    (rf"^(sample at step \d+:).*\n(?:(?!{_SAID}).*\n)*", r"\1 …\n"),
    # Which steps and savings are told, and how far tokenizing has come, is a matter of the clock.
    (r"^(?:step|checkpoint|tokenizing) .*\n", ""),
    # A curve drawn from dots.
    (r"^.*[┤┬⠀-⣿].*\n", ""),
    (r"^ *step +\d[\d ]*\n", ""),
    (r"\d{4}-\d\d-\d\d-\d{4}-(bios|cola)-[a-z]+-[a-z]+", r"RUN-\1"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d", "DATE"),
    (r"\d+:\d\d:\d\d", "TIME"),
    (r"\bin \d+\.\d s", "in SECONDS"),
    (r"[\d,.]+ (tokens|texts|sentences)/s", r"SPEED \1/s"),
    (r"cpu \(.*?\)", "cpu"),
    (r"(\S+) is here(?: already|: \S+)", r"\1 is here"),
    (r"[\d.]+ (?:B|kB|KB|MB)\b", "SIZE"),
    (r"[ \t]+", " "),
)
"""What machine, clock and chance decide, and what stands for it in the comparison."""


@dataclass(frozen=True)
class Command:
    line: int
    """Of the page, from 1."""
    text: str
    said: str
    """What the page says it prints."""
    may_differ: bool


@dataclass(frozen=True)
class Printed:
    """What a command printed, stderr included, paths as pages call them, and its exit status."""

    text: str
    status: int


def commands(page: str) -> list[Command]:
    found: list[Command] = []
    for block in _BLOCK.finditer(page):
        first = page.count("\n", 0, block.start()) + 2
        found += _of_block(first, block["body"].splitlines(), MAY_DIFFER in block["head"])
    return found


def _of_block(first: int, lines: list[str], may_differ: bool) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        after = start + 1
        while lines[after - 1].endswith("\\"):
            after += 1
        text = "\n".join(line[2:] for line in lines[start:after])
        yield Command(first + start, text, "\n".join(lines[after:end]), may_differ)


def replay(page: str, place: Path, bases: Path | None = None) -> list[Printed]:
    """Run a page's commands in order in the empty folder `place`, until one fails.

    `bases` is a folder of bases that need not be fetched.
    """
    home, here = place / "home", place / "here"
    here.mkdir(parents=True)
    for base in bases.iterdir() if bases else ():
        (home / "cache" / "bases").mkdir(parents=True, exist_ok=True)
        (home / "cache" / "bases" / base.name).symlink_to(base.absolute())
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(REPOSITORY),
        "BIOFORGE_HOME": str(home),
        "HF_HOME": str(place / "hub"),
        "CUDA_VISIBLE_DEVICES": "",
        "NO_COLOR": "1",
    }
    environment.pop("COLUMNS", None)
    mark = uuid.uuid4().hex
    script = place / "page.sh"
    script.write_text(
        "".join(
            f"{{ {command.text}\n}} 2>&1\nstatus=$?; printf '\\n{mark} %d\\n' $status\n[ $status = 0 ] || exit\n"
            for command in commands(page)
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        ["bash", str(script)],
        cwd=here,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    *parts, _ = re.split(rf"\n{mark} (\d+)\n", done.stdout.decode())
    names = {str(here): HERE, str(home): HOME, str(assets()): ASSETS}
    return [
        Printed(_renamed(text, names), int(status))
        for text, status in zip(parts[::2], parts[1::2], strict=True)
    ]


def _renamed(text: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def differences(page: str, printed: Sequence[Printed]) -> str:
    """Where a page is not what was printed; empty where it is."""
    problems = []
    asked = commands(page)
    if len(printed) < len(asked) and not (printed and printed[-1].status):
        after = asked[len(printed)]
        problems.append(f"line {after.line}: {after.text}\nwas not run, nor was what follows")
    for command, given in zip(asked, printed, strict=False):
        where = f"line {command.line}: {command.text}"
        if given.status:
            problems.append(f"{where}\nfailed ({given.status}):\n{given.text}")
        elif command.may_differ and not given.text:
            problems.append(f"{where}\nprinted nothing")
        elif not command.may_differ and not same(command.said, given.text):
            lines = difflib.unified_diff(
                plain(command.said).splitlines(),
                plain(given.text).splitlines(),
                "page",
                "printed",
                lineterm="",
            )
            problems.append("\n".join([where, *lines]))
    return "\n\n".join(problems)


def plain(text: str) -> str:
    """Without what machine, clock and chance decide."""
    text += "\n"
    for pattern, stand_in in CHANCE:
        text = re.sub(pattern, stand_in, text, flags=re.MULTILINE)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def same(one: str, other: str) -> bool:
    first, second = _NUMBER.split(plain(one)), _NUMBER.split(plain(other))
    return len(first) == len(second) and all(_alike(*pair) for pair in zip(first, second, strict=True))


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)) or "." not in one + other:
        return False
    values = (float(text.replace(",", "")) for text in (one, other))
    return math.isclose(*values, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def written(page: str, printed: Sequence[Printed]) -> str:
    """The page with what was printed in place of what it said."""
    left = iter(printed)

    def fill(block: re.Match[str]) -> str:
        parts = [f"```console{block['head']}"]
        for command in _of_block(0, block["body"].splitlines(), False):
            parts.append("$ " + command.text.replace("\n", "\n> "))
            parts += [text] if (text := next(left).text) else []
        return "\n".join([*parts, "```"])

    return _BLOCK.sub(fill, page)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path)
    parser.add_argument("--bases", type=Path, help="folder with bases, such as DATA_FOLDER/cache/bases")
    parser.add_argument("--write", action="store_true", help="put what was printed into the page")
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        printed = replay(page, Path(place) / "replay", options.bases)
    was_run = len(printed) == len(commands(page)) and not any(given.status for given in printed)
    if not (was_run and options.write):
        sys.exit(differences(page, printed))
    options.page.write_text(written(page, printed), encoding="utf-8")


if __name__ == "__main__":
    main()
