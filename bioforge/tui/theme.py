"""The app's own colours, for dark and for light terminals."""

from __future__ import annotations

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

DARK = Theme(
    name="bioforge-dark",
    primary="#e0a458",
    secondary="#6fb3b8",
    accent="#e0a458",
    foreground="#d8dae0",
    background="#15171c",
    surface="#1b1e24",
    panel="#242830",
    success="#86b96f",
    warning="#e2c36b",
    error="#e0716c",
    dark=True,
    variables={
        "footer-key-foreground": "#e0a458",
        "footer-background": "#15171c",
        "footer-description-foreground": "#8b909c",
        "block-cursor-background": "#3a3f4a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#262a32",
        "input-selection-background": "#e0a458 35%",
        "border": "#e0a458",
        "border-blurred": "#2d323b",
    },
)
LIGHT = Theme(
    name="bioforge-light",
    primary="#9a5b0c",
    secondary="#1f6f78",
    accent="#9a5b0c",
    foreground="#24262b",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e7e4dc",
    success="#3f7a2e",
    warning="#8a6a00",
    error="#b3372f",
    dark=False,
    variables={
        "footer-key-foreground": "#9a5b0c",
        "footer-background": "#fbfaf7",
        "footer-description-foreground": "#6b6d73",
        "block-cursor-background": "#d9d2c2",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#ebe7dd",
        "input-selection-background": "#9a5b0c 30%",
        "border": "#9a5b0c",
        "border-blurred": "#d8d4ca",
    },
)
THEMES = (DARK, LIGHT)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _terminal(theme: Theme, black: str, white: str, magenta: str) -> TerminalTheme:
    """What "green" or "red" look like in our colours: text and curves name colours as a terminal does."""
    named = (
        black,
        theme.error,
        theme.success,
        theme.warning,
        theme.secondary,
        magenta,
        theme.secondary,
        white,
    )
    colours = [_rgb(str(colour)) for colour in named]
    return TerminalTheme(_rgb(str(theme.background)), _rgb(str(theme.foreground)), colours, colours)


ANSI_DARK = _terminal(DARK, "#15171c", "#d8dae0", "#b795c9")
ANSI_LIGHT = _terminal(LIGHT, "#24262b", "#fbfaf7", "#7a4b94")
