"""`bioforge` and `python -m bioforge`: the one place where errors become lines and exit codes."""

from __future__ import annotations

import errno
import os
import sys


def main() -> None:
    """Run the command line; leaves with the exit codes of `bioforge.errors.ExitCode`."""
    from bioforge.errors import ExitCode

    # Started with its output closed (`>&-`): what is written goes nowhere.
    sys.stdout = sys.stdout or os.fdopen(_nowhere(), "w")
    sys.stderr = sys.stderr or os.fdopen(_nowhere(), "w")
    for stream in (sys.stdout, sys.stderr):
        # Files and pipes get UTF-8 whatever the system's code page; what a stream cannot say is spelt out.
        encoding = None if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _run()
    except BrokenPipeError:
        code = ExitCode.UNREAD
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # Python would try it once more while leaving.
            os.dup2(_nowhere(), stream.fileno())
            if isinstance(error, BrokenPipeError):
                code = ExitCode.UNREAD
            elif code in (ExitCode.OK, ExitCode.FOUND):
                code = _say(f"the output cannot be written: {error.strerror}", ExitCode.USAGE)
    sys.exit(code)


def _run() -> int:
    from bioforge.cli.app import app
    from bioforge.errors import ExitCode, FaultError, UserError

    try:
        app(prog_name="bioforge")
    except SystemExit as left:
        # Rich and Typer both leave with 1 when nobody reads on, and 1 is what `check` says of findings.
        if isinstance(left.__context__, BrokenPipeError):
            return ExitCode.UNREAD
        return left.code if isinstance(left.code, int) else ExitCode.OK
    except UserError as error:
        return _say(str(error), ExitCode.USAGE)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except FaultError as error:
        return _say(str(error), ExitCode.FAULT)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _say("the disk is full; nothing was changed. Make room, then try again", ExitCode.USAGE)
        if isinstance(error, PermissionError):
            return _say(f"no permission for {error.filename}; see: bioforge paths", ExitCode.USAGE)
        return _say(f"a fault of ours: {_noted(error)}", ExitCode.FAULT)
    return ExitCode.OK


def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _say(message: str, code: int) -> int:
    from bioforge.reporting.text import safe

    sys.stderr.write(f"bioforge: {safe(message)}\n")
    return code


def _noted(error: Exception) -> str:
    """Keep the traceback in a file, and name it."""
    import tempfile
    import traceback

    summary = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    with tempfile.NamedTemporaryFile(
        "w", prefix="bioforge-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as stream:
        traceback.print_exception(error, file=stream)
    return f"{summary} (details in {stream.name})"


if __name__ == "__main__":
    main()
