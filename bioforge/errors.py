"""The one exception the front ends show, and the exit codes they leave with."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; past 128, the signal another program would have died of."""

    OK = 0
    FOUND = 1
    """`check` found something unacceptable."""
    USAGE = 2
    """Bad usage or bad input."""
    FAULT = 4
    """A fault of ours."""
    INTERRUPTED = 130
    UNREAD = 141
    """Whoever read our output has seen enough, as of `| head`."""


class UserError(Exception):
    """What is wrong, where, and what to do, in one line a user can act on."""


class EmptyFileError(UserError):
    """A file that holds nothing but white space: no harm where one of many is."""


class NoTextError(UserError):
    """A file that holds something else than text: no harm where it merely lies beside others."""


class FaultError(Exception):
    """Something of ours broke where no traceback can be shown: another process, which logged it."""
