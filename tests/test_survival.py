"""Nothing that was saved is ever lost: each harm is done to a real worker, which then goes on to the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bioforge.data.store import DataInfo
from bioforge.models import store
from bioforge.paths import Home
from tests.survival import Unharmed, check_same_end, check_what_is_left, places, survive, twin, unharmed_run
from tests.workers import Server, serving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers here are forked")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def unharmed(server: Server, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Unharmed:
    return unharmed_run(Home(tmp_path_factory.mktemp("unharmed")), tiny_gpt2, server)


def test_killed_at_any_moment(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    """The long form is `python -m bench.survival`."""
    assert len(survive(server, home, tiny_gpt2, unharmed, kills=5, seed=1)) == 5


def test_killed_between_publishing_and_saying_so(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    last = {"inside": places(run)["publishing"], "number": unharmed.operations["publishing"]}
    assert server.start(run, at_operation=last).wait() == -9
    check_what_is_left(run)
    assert store.made_by(home, run.name), "it was killed after its model was there"
    assert server.start(run).wait() == 0
    check_same_end(run, unharmed)
