"""Tables shared by several commands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bioforge.models.parameters import Parameter, ParameterTable
from bioforge.reporting.text import duration, metric
from bioforge.runs.events import Event, Validation

_NAMES = {
    "loss": "Valid. Loss",
    "perplexity": "Perplexity",
    "accuracy": "Valid. Accur.",
    "mcc": "MCC",
}


def plain_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A quiet table: a rule under the header, nothing cut off."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def summary(validations: Sequence[Validation], *, times: bool = True) -> tuple[list[str], list[list[str]]]:
    """The tutorials' summary, columns and one row a validation; the kept checkpoint has a star."""
    names = [name for name in _NAMES if validations and name in validations[0].metrics]
    columns = [
        "Epoch",
        "Training Loss",
        *(_NAMES[name] for name in names),
        *(("Training Time", "Validation Time") if times else ()),
    ]
    best = [event.step for event in validations if event.best][-1:]
    rows = [
        [
            f"{event.epoch:.2f}".rstrip("0").rstrip("."),
            metric("loss", event.train_loss) if event.step else "before",
            *(metric(name, event.metrics[name]) for name in names),
            *((duration(event.training_seconds), duration(event.validation_seconds)) if times else ()),
            "★ best" if [event.step] == best else "",
        ]
        for event in validations
    ]
    return [*columns, ""], rows


def summary_table(events: Sequence[Event], *, times: bool = True) -> Table | None:
    """The tutorials' summary for a terminal; None where nothing was validated."""
    columns, rows = summary([event for event in events if isinstance(event, Validation)], times=times)
    if not rows:
        return None
    table = plain_table(*columns, right=columns[:-1])
    for row in rows:
        table.add_row(*row)
    return table


def parameter_lines(table: ParameterTable, what: str, *, name_width: int = 55) -> list[Text]:
    """The parameter table as both tutorials print it."""
    lines = [
        Text(f"The {what} model has {table.tensors} different named parameters ({table.elements:,} values).")
    ]
    sections = (
        ("Embedding Layer", table.embedding),
        ("First Transformer", table.first_block),
        ("Output Layer", table.output),
    )
    for title, parameters in sections:
        lines += [Text(""), Text(f"==== {title} ====", style="bold"), Text("")]
        lines += [_parameter_line(parameter, name_width) for parameter in parameters]
    return lines


def _parameter_line(parameter: Parameter, name_width: int) -> Text:
    name, shape = parameter
    shown = f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
    return Text(f"{name:<{name_width}} {shown:>14}")
