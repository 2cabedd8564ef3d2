"""How every command parses its flags and ends.

Exit status: 0 done, 1 an error that the message explains, 2 wrong usage, 130 interrupted, 143
    terminated.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from absl import flags

from pcr_tf.format import filesystem
from pcr_tf.format.names import check_locale
from pcr_tf.version import __version__

INTERRUPTED = 128 + signal.SIGINT


class UsageError(Exception):
    """The command line does not make sense; the message says why."""


@contextlib.contextmanager
def as_usage_errors(kind: type[Exception]) -> Iterator[None]:
    """Turns errors of a kind, which the values of flags alone caused, into a UsageError."""
    try:
        yield
    except kind as error:
        raise UsageError(str(error)) from error


@functools.cache
def flags_by_field() -> Mapping[str, str]:
    """The names of the flags of the options of a conversion, by field."""
    # Not needed by every command.
    from pcr_tf.convert import ConvertOptions, SourceOptions
    from pcr_tf.convert.option import declared

    return {
        name: option.flag
        for options in (ConvertOptions, SourceOptions)
        for name, option in declared(options).items()
    }


def as_flags(text: str, values: Container[str]) -> str:
    """A message of the library, which names fields as `num_workers`, with the flags of a command:
    --num_workers. What is none of the flags `values` stays as it is.

    >>> values = flags.FlagValues()
    >>> flags.DEFINE_integer("num_workers", 1, "processes", flag_values=values) is not None
    True
    >>> as_flags("`num_workers`; expected at least 0, got -1; see `table`", values)
    '--num_workers; expected at least 0, got -1; see `table`'
    """

    def flag(match: re.Match[str]) -> str:
        name = flags_by_field().get(match[1], match[1])
        return f"--{name}{match[2]}" if name in values else match[0]

    return re.sub(r"`(\w+)(=[^`]*|)`", flag, text)


class FlagLog(io.StringIO):
    """Standard error, for what the library says while it runs: see `as_flags`."""

    def __init__(self, values: flags.FlagValues) -> None:
        self._values = values

    def write(self, text: str) -> int:
        sys.stderr.write(as_flags(text, self._values))
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()

    def fileno(self) -> int:
        return sys.stderr.fileno()


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def define_worker_flags(values: flags.FlagValues) -> None:
    """Defines --num_workers and --quiet, as every command with worker processes has them."""
    flags.DEFINE_integer("num_workers", os.cpu_count() or 1, "worker processes", flag_values=values)
    flags.DEFINE_boolean("quiet", False, "show no progress", flag_values=values)


def run_command(
    name: str,
    description: str,
    values: flags.FlagValues,
    body: Callable[[list[str]], int],
    argv: Sequence[str] | None,
    user_errors: tuple[type[Exception], ...] = (OSError, ValueError),
    sections: Mapping[str, str] | None = None,
) -> int:
    """Parses `argv` (None: the process's own) into `values` and runs `body` on the positional
    arguments.

    Args:
        description: the help text; its first line is the summary.
        user_errors: exceptions whose message is for the user: one line, no traceback.
        sections: flag -> heading that the help puts before it.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _escape_what_cannot_be_printed()
    previous = _handle_sigterm()
    try:
        if any(
            argument in ("--help", "-h", "--helpfull", "-help", "--helpshort")
            for argument in arguments
        ):
            print(_help(description, values, sections or {}), flush=True)
            return 0
        if "--version" in arguments:
            print(f"{name} (pcr_tf) {__version__}", flush=True)
            return 0
        check_locale()
        # Positional arguments may stand between flags.
        positional = values([name, *arguments])[1:]
        status = body(positional)
        sys.stdout.flush()
        return status
    except (flags.Error, UsageError) as error:
        return _fail(name, f"{as_flags(str(error), values)}; see {name} --help", 2)
    except _Terminated:
        return _fail(name, "terminated", 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        return _fail(name, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does. Nothing more can be said to it: not
        # what is still in the buffer, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except user_errors as error:
        return _fail(name, as_flags(_one_line(error), values), 1)
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def split_paths(texts: Sequence[str]) -> tuple[str, ...]:
    """The paths of a flag that may be repeated: a comma separates them unless it is part of the
    name of a file that exists.
    """
    paths: list[str] = []
    for text in texts:
        paths += [text] if filesystem.exists(text) else [path for path in text.split(",") if path]
    return tuple(paths)


def _escape_what_cannot_be_printed() -> None:
    """Names of files need not be UTF-8, and a terminal may be less: neither ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _handle_sigterm() -> Any:
    def on_sigterm(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    try:
        return signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:  # Not on the main thread: the program that calls us handles signals.
        return None


def _one_line(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return f"{error.object[:100]!r}: text; expected ASCII by the locale; set PYTHONUTF8=1"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _fail(name: str, message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"{name}: {message}", file=sys.stderr)
    return status


def _help(description: str, values: flags.FlagValues, sections: Mapping[str, str]) -> str:
    lines = [description.strip()]
    if not sections:
        lines += ["", "Flags:"]
    for flag_name in values:  # In the order of definition: what is needed first comes first.
        flag = values[flag_name]
        if flag_name in sections:
            lines += ["", *textwrap.wrap(sections[flag_name], 96)]
        lines += ["", *_flag_help(flag)]
    lines += [
        "",
        "  --flagfile=FILE",
        *_wrap("read flags from FILE, one a line; # begins a comment"),
    ]
    return "\n".join(lines)


def _flag_help(flag: flags.Flag[Any]) -> list[str]:
    usage, text = f"--{flag.name}={flag.name.split('_')[-1].upper()}", str(flag.help)
    if flag.boolean:
        usage = f"--[no]{flag.name}"
    elif isinstance(flag, flags.EnumFlag):
        usage = f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
        text = text.partition(": ")[2]  # absl puts the values before the text,
    elif isinstance(flag, flags.MultiFlag):
        text = text.partition(";\n")[0]  # and a hint behind that of repeated flags.
    default = (
        ""
        if flag.default in (None, "", [])
        else f" (default: {flag.default_as_str.strip(chr(39))})"
    )
    return [f"  {usage}", *_wrap(text + default)]


def _wrap(text: str) -> list[str]:
    indent = " " * 6
    return textwrap.wrap(text, 90, initial_indent=indent, subsequent_indent=indent)
