"""What a run promises: exact accumulation, exact resume, no trace of watching, honest endings."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from bioforge.data.store import DataInfo
from bioforge.models import store
from bioforge.models.bases import read_config
from bioforge.paths import Home
from bioforge.runs import control
from bioforge.runs.events import (
    Checkpoint,
    Event,
    EventReader,
    Failed,
    Finished,
    Sample,
    Started,
    Step,
    Stopped,
    Validation,
    Warning,
)
from bioforge.runs.folder import RunFolder
from bioforge.runs.launch import launch
from bioforge.training import checkpoint, job
from bioforge.training.optimizer import adamw, learning_rate
from tests.helpers import make_run, no_dropout, same_weights, weights, work, work_until, write_judge

E = TypeVar("E", bound=Event)
LAST: dict[str, Any] = {"keep": "last", "patience": 0, "precision": "fp32"}


def of_kind(run: RunFolder, kind: type[E]) -> list[E]:
    return [event for event in run.history() if isinstance(event, kind)]


@pytest.mark.parametrize("task", ["bios", "cola"])
def test_accumulating_four_twos_equals_one_eight(
    task: Any,
    home: Home,
    djs: DataInfo,
    sentences: DataInfo,
    tiny_gpt2: Path,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    base = no_dropout(tiny_gpt2 if task == "bios" else tiny_bert, tmp_path / "base")
    data = "djs" if task == "bios" else "sentences"
    # 36 and 180 rows do not divide by 8: the last step of each epoch is short on both sides.
    common = {**LAST, "bucketing": False, "max_length": 96, "epochs": 2, "sample_every": 0, "clip_norm": 0.5}
    whole = make_run(home, task, data, base, batch_size=8, **common)
    parts = make_run(home, task, data, base, batch_size=2, accumulate=4, **common)
    assert work(whole) == work(parts) == 0
    one, other = of_kind(whole, Step), of_kind(parts, Step)
    assert len(one) == len(other)
    assert [e.loss for e in one] == pytest.approx([e.loss for e in other], abs=1e-5)
    assert [e.grad_norm for e in one] == pytest.approx([e.grad_norm for e in other], rel=1e-4)
    first, second = weights(whole.best), weights(parts.best)
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=1e-5), name


def test_a_batch_computed_in_parts_is_the_same_batch(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {**LAST, "max_length": 200, "epochs": 2, "sample_every": 0}
    whole = make_run(home, "bios", "djs", base, tokens_per_pass=10_000, **common)
    parts = make_run(home, "bios", "djs", base, tokens_per_pass=450, **common)
    assert work(whole) == work(parts) == 0
    one, other = ([event.loss for event in of_kind(run, Step)] for run in (whole, parts))
    assert one == pytest.approx(other, abs=1e-5)
    first, second = weights(whole.best), weights(parts.best)
    assert all(torch.allclose(tensor, second[name], atol=1e-5) for name, tensor in first.items())


def test_padding_to_the_longest_of_a_batch_is_never_learnt(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {
        **LAST,
        "max_length": 200,
        "max_steps": 2,
        "batch_size": 4,
        "bucketing": False,
        "sample_every": 0,
    }
    for padding, same in (("longest", True), ("max_length", False)):
        runs = [
            make_run(home, "bios", "djs", base, padding=padding, loss_on_padding=flag, **common)
            for flag in (False, True)
        ]
        assert [work(run) for run in runs] == [0, 0]
        one, other = ([event.loss for event in of_kind(run, Step)] for run in runs)
        assert (one == other) is same


def test_validation_and_samples_leave_no_trace(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    common = {**LAST, "max_length": 64, "epochs": 2}
    quiet = make_run(home, "bios", "djs", tiny_gpt2, sample_every=0, **common)
    busy = make_run(
        home, "bios", "djs", tiny_gpt2, sample_every=1, sample_tokens=5, validate_every=2, **common
    )
    assert work(quiet) == work(busy) == 0
    assert len(of_kind(busy, Sample)) == 10
    assert len(of_kind(busy, Validation)) > len(of_kind(quiet, Validation))
    assert same_weights(quiet.best, busy.best)


def test_the_same_recipe_twice_gives_the_same_weights_and_another_seed_does_not(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    runs = [make_run(home, "cola", "sentences", tiny_bert, epochs=1, seed=seed, **LAST) for seed in (1, 1, 2)]
    assert [work(run) for run in runs] == [0, 0, 0]
    assert same_weights(runs[0].best, runs[1].best)
    assert not same_weights(runs[0].best, runs[2].best)


def test_stopped_and_resumed_equals_never_stopped(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    common = {**LAST, "max_length": 64, "epochs": 2, "sample_every": 2, "sample_tokens": 4}
    straight = make_run(home, "bios", "djs", tiny_gpt2, **common)
    halting = make_run(home, "bios", "djs", tiny_gpt2, **common)
    assert work(straight) == 0
    # Within an epoch, at its end, and twice at the same step.
    for step in (1, 3, 5, 5, 6):
        assert work_until(halting, step) == 0
        assert (halting.state().status, halting.state().step) == ("stopped", step)
    assert work(halting) == 0
    assert halting.state().status == "finished"
    assert same_weights(straight.best, halting.best)
    ours, theirs = of_kind(halting, Step), of_kind(straight, Step)
    assert [(e.step, e.loss) for e in ours] == [(e.step, e.loss) for e in theirs]
    checked, expected = ([e for e in of_kind(run, Validation) if e.step] for run in (halting, straight))
    assert [(e.train_loss, e.metrics) for e in checked] == [(e.train_loss, e.metrics) for e in expected]


def test_killed_and_resumed_equals_never_killed(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    common = {**LAST, "epochs": 30, "batch_size": 16, "checkpoint_minutes": 0.001}
    straight = make_run(home, "cola", "sentences", tiny_bert, **common)
    assert work(straight) == 0
    killed = make_run(home, "cola", "sentences", tiny_bert, **common)
    process = launch(killed)
    reader = EventReader(killed.events)
    saved = 0
    deadline = time.monotonic() + 120
    while saved < 3 and time.monotonic() < deadline:
        saved += sum(isinstance(event, Checkpoint) for event in reader.poll())
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert saved >= 3
    assert killed.state().status == "interrupted"
    assert work(killed) == 0
    resumed = of_kind(killed, Started)[-1]
    assert 0 < resumed.step < resumed.steps
    assert same_weights(straight.best, killed.best)


def test_a_second_worker_is_refused_and_a_signal_saves(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=1000, validations_per_epoch=1)
    process = launch(run)
    assert run.state().status == "starting"
    reader = EventReader(run.events)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(isinstance(event, Step) for event in reader.poll()):
        time.sleep(0.02)
    assert run.state().status == "running"
    from bioforge.errors import UserError

    with pytest.raises(UserError, match="already running"):
        launch(run)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert run.state().status == "stopped"
    whole, damaged = checkpoint.newest(run.checkpoints)
    assert whole is not None and not damaged
    assert checkpoint.read_progress(whole).step == run.state().step


def test_a_damaged_checkpoint_is_passed_over(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=3, **LAST)
    straight = make_run(home, "cola", "sentences", tiny_bert, epochs=3, **LAST)
    assert work(straight) == 0
    for step in (2, 4):
        work_until(run, step)
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    file = newest / "weights.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-5] ^= 1
    file.write_bytes(bytes(raw))
    assert work(run) == 0
    assert any("damaged" in event.message for event in of_kind(run, Warning))
    assert same_weights(straight.best, run.best)


def test_a_disk_that_fills_up_costs_a_checkpoint_and_not_the_run(
    home: Home, sentences: DataInfo, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    run = make_run(home, "cola", "sentences", tiny_bert, epochs=2)
    monkeypatch.setattr(checkpoint, "save_file", full)
    assert work(run) == 0
    assert any("No space left" in event.message for event in of_kind(run, Warning))
    assert run.state().status == "finished"


def test_a_prompt_that_is_too_long_costs_the_sample_and_not_the_run(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0)
    control.send(run.control, "sample", prompt="word " * 900)
    assert work(run) == 0
    assert not of_kind(run, Sample)
    assert any("no sample" in event.message for event in of_kind(run, Warning))


def test_a_prompt_that_is_no_text_costs_the_sample_and_not_the_run(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0)
    control.send(run.control, "sample", prompt="Born \udcff in")
    assert work(run) == 0
    assert not of_kind(run, Sample)
    assert [event.message for event in of_kind(run, Warning) if "sample" in event.message] == [
        "no sample: the prompt: character 6 is not valid UTF-8; type it again"
    ]


def test_whatever_breaks_a_sample_that_was_asked_for_costs_that_sample_only(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("no tokens")

    monkeypatch.setattr("bioforge.training.loop.generate", broken)
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0)
    control.send(run.control, "sample", prompt="Born in")
    assert work(run) == 0
    assert "no sample: no tokens" in [event.message for event in of_kind(run, Warning)]


def test_other_folders_beside_the_checkpoints_are_left_alone(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=2, sample_every=0)
    assert work_until(run, 2) == 0
    ours = [run.checkpoints / name for name in ("step-000002.bak", "notes")]
    for path in ours:
        path.mkdir()
    assert work_until(run, 4) == 0
    assert all(path.is_dir() for path in ours)
    assert checkpoint.newest(run.checkpoints)[0] == run.checkpoints / "step-000004"
    assert work(run) == 0


def test_the_time_left_counts_no_more_validations_than_there_are_steps(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, float]] = []

    def remaining(_: Any, steps: int, validations: float) -> float:
        told.append((steps, validations))
        return 0.0

    monkeypatch.setattr("bioforge.training.loop._Pace.remaining", remaining)
    run = make_run(
        home, "bios", "djs", tiny_gpt2, max_length=32, epochs=2, batch_size=36, validations_per_epoch=10,
        patience=0, sample_every=0,
    )  # fmt: skip
    assert work(run) == 0
    assert told == [(1, 1.0), (0, 0.0)] and len(of_kind(run, Validation)) == 3


def test_attention_dropout_is_that_of_the_recipe_in_every_family(
    home: Home, djs: DataInfo, sentences: DataInfo, tiny_gpt2: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    bases = {"gpt2": tiny_gpt2, "bert": tiny_bert}
    for kind in ("DistilBert", "Albert"):
        bases[kind] = write_judge(tiny_bert, tmp_path / kind, kind)
    for name, base in bases.items():
        task, data = ("bios", "djs") if name == "gpt2" else ("cola", "sentences")
        run = make_run(home, task, data, base, attention_dropout=0.73)  # type: ignore[arg-type]
        prepared = job.prepare(run, None)
        assert prepared.warnings == []
        layers = [
            module
            for path, module in prepared.model.named_modules()
            if path.endswith(("attn", "attention", "self"))
        ]
        found = [
            module.p if isinstance(module, torch.nn.Dropout) else module
            for layer in layers
            for key in ("dropout", "attn_dropout", "attention_dropout", "dropout_prob")
            if isinstance(module := getattr(layer, key, None), float | torch.nn.Dropout)
        ]
        assert found and 0.73 in found, name
        # What is saved has the base's own.
        prepared.save_model(tmp_path / f"saved-{name}")
        ours, theirs = (
            {key: config[key] for key in job._ATTENTION_DROPOUTS if key in config}
            for config in (read_config(tmp_path / f"saved-{name}"), read_config(base))
        )
        assert ours == theirs != {}, name


def test_a_base_without_attention_dropout_is_told(
    home: Home, sentences: DataInfo, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_ATTENTION_DROPOUTS", ())
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=1, attention_dropout=0.2)
    assert work(run) == 0
    assert "attention_dropout=0.2 changes nothing: the base 'tiny-bert' has no setting for it" in [
        event.message for event in of_kind(run, Warning)
    ]


def test_stopping_at_an_epochs_end_can_be_resumed(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    common = {**LAST, "max_length": 32, "epochs": 2, "batch_size": 36, "sample_every": 0}
    run = make_run(home, "bios", "djs", tiny_gpt2, **common)
    for step in (0, 1):
        assert work_until(run, step) == 0
    assert work(run) == 0
    assert run.state().status == "finished" and run.state().step == 2


def test_a_request_to_stop_while_loading_is_heard_before_the_first_step(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32)
    control.send(run.control, "stop")
    assert work(run) == 0
    assert (run.state().status, run.state().step) == ("stopped", 0)


def test_a_resumed_run_publishes_the_bases_own_configuration(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0)
    assert work_until(run, 2) == 0
    assert work(run) == 0
    assert json.loads((run.best / "config.json").read_text())["attn_pdrop"] == 0.1
    assert work(run) == 2, "a finished run is not done again"


def test_a_checkpoint_that_cannot_be_written_costs_no_more_than_itself(
    home: Home, sentences: DataInfo, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    run = make_run(home, "cola", "sentences", tiny_bert, epochs=2)
    monkeypatch.setattr(checkpoint, "write_json", full)
    assert work(run) == 0
    assert any("No space left" in event.message for event in of_kind(run, Warning))
    assert run.state().status == "finished"


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_rows(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(
        home, "bios", "djs", tiny_gpt2, max_length=32, learning_rate=1, warmup_steps=0, clip_norm=0, epochs=400,
        weight_decay=1, epsilon=0, sample_every=0, validate_every=10**6, precision="fp32",
    )  # fmt: skip
    config = json.loads((tiny_gpt2 / "config.json").read_text())
    assert config["model_type"] == "gpt2"
    code = work(run)
    (failed,) = of_kind(run, Failed)
    assert code == 2
    assert "lower learning_rate" in failed.message and "Rows of the data" in failed.message
    assert run.state().status == "failed"


def test_early_stopping_keeps_the_best_and_not_the_last(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(
        home, "bios", "djs", tiny_gpt2, max_length=64, epochs=60, learning_rate=0.03, warmup_steps=0,
        patience=2, keep="best", sample_every=0,
    )  # fmt: skip
    assert work(run) == 0
    before, *validations = of_kind(run, Validation)
    assert before.step == 0 and not before.best and math.isnan(before.train_loss)
    (finished,) = of_kind(run, Finished)
    losses = [event.metrics["loss"] for event in validations]
    assert len(losses) < 60 and "no better validation in 2" in finished.reason
    assert finished.best_step == validations[losses.index(min(losses))].step != validations[-1].step
    assert finished.metrics["loss"] == pytest.approx(min(losses), abs=0.02)
    assert [event.best for event in validations][-2:] == [False, False]


def test_what_a_finished_judge_is_published_with(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=2)
    assert work(run) == 0
    info = store.info(home, "sentences")
    assert info.task == "cola" and info.run == run.name and info.data_fingerprint == sentences.fingerprint
    assert info.threshold == 0.5, "twenty sentences are too few to choose by"
    assert {"loss", "accuracy", "mcc"} <= info.metrics.keys()
    assert not run.checkpoints.exists()
    card = (home.models / "sentences" / "README.md").read_text()
    assert sentences.fingerprint[:16] in card


def test_a_threshold_is_chosen_where_there_is_enough_to_choose_by(
    home: Home, tiny_bert: Path, sentences: DataInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioforge.training.publish._ENOUGH_TO_CHOOSE_BY", 10)
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    info = store.info(home, "sentences")
    assert info.threshold is not None
    assert info.metrics["mcc_at_threshold"] >= info.metrics["mcc"] - 0.1


def test_a_sample_on_request_uses_its_prompt(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0, sample_tokens=3)
    control.send(run.control, "sample", prompt="Born in Lagos")
    control.send(run.control, "save")
    assert work(run) == 0
    (sample,) = of_kind(run, Sample)
    assert sample.text.startswith("Born in Lagos")
    assert of_kind(run, Checkpoint)[0].step == 0, "requests are heard before the first step"


def test_long_texts_are_counted_and_still_end(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=40, epochs=1)
    prepared = job.prepare(run, None)
    end = prepared.tokenizer.eos_token_id
    assert prepared.train.truncated == len(prepared.train.examples) > 0
    assert all(len(e.ids) == 40 and e.ids[0] == end and e.ids[-1] == end for e in prepared.train.examples)
    tutorial = make_run(home, "bios", "djs", tiny_gpt2, preset="tutorial", max_length=40)
    theirs = job.prepare(tutorial, None)
    assert all(e.ids[-1] != end for e in theirs.train.examples)
    assert theirs.train.examples[0].ids[0] == theirs.tokenizer.convert_tokens_to_ids("<|startoftext|>")


def test_a_text_that_spells_a_special_token_stays_text(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    from bioforge.data.rows import Row
    from bioforge.training.tokens import encode

    prepared = job.prepare(make_run(home, "bios", "djs", tiny_gpt2), None)
    encoded = encode(prepared.objective, [Row("before <|endoftext|> after", 1)])
    assert encoded.examples[0].ids.count(prepared.tokenizer.eos_token_id) == 2


def test_padding_is_not_learnt_but_the_end_is(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    """The loss of a batch equals the token-weighted loss of its texts alone: padding counts for nothing."""
    prepared = job.prepare(make_run(home, "bios", "djs", tiny_gpt2, max_length=120), None)
    prepared.model.eval()
    examples = sorted(prepared.train.examples[:6], key=lambda e: len(e.ids))
    shorter = [type(e)([*e.ids[: 20 + 10 * i], e.ids[-1]]) for i, e in enumerate(examples)]
    device = torch.device("cpu")
    with torch.no_grad():
        together = prepared.objective.loss_sum(prepared.model, shorter, device)
        alone = [prepared.objective.loss_sum(prepared.model, [e], device) for e in shorter]
        huggingface = sum(
            prepared.model(input_ids=torch.tensor([e.ids]), labels=torch.tensor([e.ids])).loss
            * (len(e.ids) - 1)
            for e in shorter
        )
    assert together.item() == pytest.approx(sum(a.item() for a in alone), rel=1e-5)
    assert together.item() == pytest.approx(float(huggingface), rel=1e-5)


def test_biases_and_norms_are_spared_from_decay(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    prepared = job.prepare(make_run(home, "bios", "djs", tiny_gpt2, weight_decay=0.3), None)
    decayed, spared = adamw(prepared.model, prepared.recipe).param_groups
    names = {id(parameter): name for name, parameter in prepared.model.named_parameters()}
    assert decayed["weight_decay"] == 0.3 and spared["weight_decay"] == 0.0
    assert all("bias" in names[id(p)] or ".ln_" in names[id(p)] for p in spared["params"])
    assert not any("bias" in names[id(p)] or ".ln_" in names[id(p)] for p in decayed["params"])


@pytest.mark.parametrize(("warm", "total"), [(0, 50), (10, 50), (100, 36), (0.1, 50)])
def test_the_schedule_is_transformers_own(warm: float, total: int) -> None:
    from transformers import get_linear_schedule_with_warmup

    from bioforge.runs.recipe import Recipe

    recipe = Recipe("bios", warmup_steps=warm, learning_rate=0.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    steps = round(warm * total) if warm < 1 else int(warm)
    schedule = get_linear_schedule_with_warmup(optimizer, steps, total)
    for step in range(total):
        assert learning_rate(recipe, step, total) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        schedule.step()


def test_stopping_reports_the_step_that_was_saved(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=2, sample_every=0)
    work_until(run, 1)
    (stopped,) = of_kind(run, Stopped)
    assert stopped.step == 1 == of_kind(run, Checkpoint)[-1].step
    assert run.control.read_text() == "", "the same request must not stop a worker that is started by hand"
    assert math.isfinite(of_kind(run, Step)[0].loss)


def test_checkpoints_are_in_order_of_their_steps_however_many(tmp_path: Path) -> None:
    one = {"one": torch.ones(1)}
    for step in (200, 999_998, 999_999, 1_000_000):
        checkpoint.save(tmp_path, one, "", one, {}, checkpoint.Progress(step=step), [one])
    assert {path.name for path in tmp_path.iterdir()} == {"step-999999", "step-1000000"}
    whole, damaged = checkpoint.newest(tmp_path)
    assert whole and checkpoint.read_progress(whole).step == 1_000_000 and not damaged


def test_what_goes_on_from_an_older_checkpoint_keeps_its_own(tmp_path: Path) -> None:
    one = {"one": torch.ones(1)}
    for step in (100, 300, 400):
        checkpoint.save(tmp_path, one, "", one, {}, checkpoint.Progress(step=step), [one])
    for name in ("step-000300", "step-000400"):
        (tmp_path / name / "weights.safetensors").write_bytes(b"")
    assert checkpoint.newest(tmp_path)[0] is None
    for step in (10, 20):
        checkpoint.save(tmp_path, one, "", one, {}, checkpoint.Progress(step=step), [one])
    assert {path.name for path in tmp_path.iterdir()} == {"step-000010", "step-000020"}
