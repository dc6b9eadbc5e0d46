"""`bioforge` and `python -m bioforge`: the one place where errors become lines and exit codes."""

from __future__ import annotations

import errno
import signal
import sys


def main() -> None:
    """Run the command line; leaves with the exit codes of `bioforge.errors.ExitCode`."""
    from bioforge.cli.app import app
    from bioforge.errors import ExitCode, FaultError, UserError

    if hasattr(signal, "SIGPIPE"):
        # A reader that has seen enough (`| head`) ends us quietly, as it ends every other command.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app(prog_name="bioforge")
    except UserError as error:
        sys.exit(_say(str(error), ExitCode.USAGE))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except FaultError as error:
        sys.exit(_say(str(error), ExitCode.FAULT))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(_say("the disk is full; nothing was changed. Make room, then try again", ExitCode.USAGE))
        if isinstance(error, PermissionError):
            sys.exit(_say(f"no permission for {error.filename}; see: bioforge paths", ExitCode.USAGE))
        sys.exit(_say(f"a fault of ours: {_noted(error)}", ExitCode.FAULT))


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"bioforge: {message}\n")
    return code


def _noted(error: Exception) -> str:
    """Keep the traceback in a file, and name it."""
    import tempfile
    import traceback

    summary = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    with tempfile.NamedTemporaryFile("w", prefix="bioforge-", suffix=".log", delete=False) as stream:
        traceback.print_exception(error, file=stream)
    return f"{summary} (details in {stream.name})"


if __name__ == "__main__":
    main()
