"""Start-up is a feature: what is light must stay light, measured in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bioforge.data.store import DataInfo
from bioforge.paths import Home
from tests.evidence import started, step, told_run

HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "pandas",
    "sklearn",
    "numpy",
    "scipy",
    "textual",
    "plotext",
    "gguf",
    "jinja2",
    "matplotlib",
    "optuna",
}
LIGHT_COMMANDS = [
    ["--help"],
    ["--version"],
    ["train", "bios", "--help"],
    ["search", "cola", "--help"],
    ["runs", "list"],
    ["models", "list"],
    ["data", "list"],
    ["paths"],
]
PROBE = """
import json, sys
sys.argv = ["bioforge", *json.loads(sys.argv[1])]
from bioforge.__main__ import main
try:
    main()
except SystemExit as left:
    code = left.code
sys.stderr.write("\\n" + json.dumps([code or 0, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS, ids=" ".join)
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, loaded = json.loads(result.stderr.splitlines()[-1])
    assert code == 0
    assert HEAVY & set(loaded) == set()


def test_a_run_without_an_outcome_is_shown_without_anything_heavy_but_its_curves(
    home: Home, sentences: DataInfo
) -> None:
    told_run(home, sentences, "cola", [started(3), step(1), step(2)])
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(["runs", "show", "last"])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, loaded = json.loads(result.stderr.splitlines()[-1])
    assert code == 0 and "Interrupted at step 2" in result.stdout
    assert HEAVY & set(loaded) <= {"plotext"}


def test_a_few_sentences_are_judged_without_torch(exported_bert: Path, home: Home) -> None:
    shutil.copytree(exported_bert, home.models / "bert")
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(["check", "They drank the pub dry.", "Me go."])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, loaded = json.loads(result.stderr.splitlines()[-1])
    assert code in (0, 1) and "acceptable" in result.stdout
    assert {"onnxruntime", "tokenizers"} <= set(loaded)
    assert (HEAVY | {"onnx", "huggingface_hub"}) & set(loaded) == {"numpy"}


FIRST_PAINT = """
import asyncio, json, sys
from bioforge.tui.app import BioforgeApp

async def main():
    app = BioforgeApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        painted = "".join(part.text for strip in app.screen._compositor.render_strips() for part in strip)
        print(json.dumps([painted, sorted({name.partition(".")[0] for name in sys.modules})]))

asyncio.run(main())
"""


def test_the_app_is_on_the_screen_before_anything_heavy_is_loaded() -> None:
    result = subprocess.run(
        [sys.executable, "-c", FIRST_PAINT], capture_output=True, text=True, timeout=120, check=True
    )
    painted, loaded = json.loads(result.stdout.splitlines()[-1])
    assert "bioforge" in painted and "Train" in painted and "Quit" in painted
    assert (HEAVY - {"textual"}) & set(loaded) == set()


def test_importing_the_package_loads_nothing_at_all() -> None:
    code = "import sys, bioforge; print(len(sys.modules))"
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(len(sys.modules))"], capture_output=True, check=True
    )
    ours = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(ours.stdout) - int(bare.stdout) <= 3
