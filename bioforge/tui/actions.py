"""What can be done in the app: the one source of keys, footer, command palette and help."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Action:
    """Something a tab (or, with an empty `tab`, the app) does: its method is `action_<name>`."""

    tab: str
    name: str
    key: str
    title: str
    """Two or three words, for footer and palette."""
    help: str
    """One sentence, for help and palette."""
    shown: bool = True
    """Whether the footer has it."""
    always: str = ""
    """The one of its keys that also works in dialogs and is shown while text is typed."""

    @property
    def id(self) -> str:
        return f"{self.tab}.{self.name}" if self.tab else self.name

    def bindings(self) -> list[Binding]:
        """One for each key; a key that works everywhere works in dialogs too."""
        return [
            Binding(
                key,
                f"do('{self.id}')",
                self.title,
                tooltip=self.help,
                show=self.shown,
                priority=key == self.always,
                id=self.id,
            )
            for key in self.key.split(",")
        ]


EVERYWHERE = (
    Action("", "help", "f1,question_mark", "Help", "What can be done here, and with which keys."),
    Action(
        "",
        "command_palette",
        "ctrl+p,colon",
        "Commands",
        "Every command, found by typing a part of its name.",
    ),
    Action(
        "", "leave", "escape", "Back", "Stop what is going on, leave a field, or close what is open.", False
    ),
    Action("", "theme", "f2", "Theme", "Choose the colours; the choice is remembered.", False),
    Action("", "screenshot_file", "f8", "Screenshot", "Save what you see as an SVG picture.", False),
    Action(
        "",
        "quit",
        "ctrl+q,q",
        "Quit",
        "Leave; a running training may go on without the app.",
        always="ctrl+q",
    ),
)
