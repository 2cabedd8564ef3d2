"""`option`: everything that is declared of an option of a job, in one place.

The flags of commands, what they are refused with, the job's fingerprint and the help follow from
it. A field of `ConvertOptions` or `SourceOptions` that is not declared so is an error when the
module is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

_KEY = "option"


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is declared of an option, beside its name, type and default.

    Attributes:
      identity: whether the result of the job depends on it. If so, a job that is stopped goes on
        only with the same value.
      section: the part of the help that its flag is in; "" for an option without a flag.
      help: text of its flag. Other options are named in backquotes.
      kinds: the kinds of sources that it is for; () for all.
      flag: name of its flag.
      flag_default: default of its flag, as the flag has it; None: that of the option.
      choices: the values that it may have; () where these are not listed.
      parse: from the value of the flag to that of the option.
      is_repeated: whether its flag may be given several times, instead of values with commas.
    """

    identity: bool
    section: str
    help: str
    kinds: tuple[str, ...]
    flag: str
    flag_default: Any
    choices: Collection[str]
    parse: Callable[[Any], Any] | None
    is_repeated: bool


def option(
    default: Any = dataclasses.MISSING,
    *,
    identity: bool,
    section: str = "",
    help: str = "",
    kinds: Sequence[str] = (),
    flag: str = "",
    flag_default: Any = None,
    choices: Collection[str] = (),
    parse: Callable[[Any], Any] | None = None,
    is_repeated: bool = False,
    default_factory: Any = dataclasses.MISSING,
) -> Any:
    """A field of a dataclass of options; see `Declaration`."""
    declaration = Declaration(
        identity,
        section,
        help,
        tuple(kinds),
        flag,
        flag_default,
        choices,
        parse,
        is_repeated,
    )
    metadata = {_KEY: declaration}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def declared(options: type) -> Mapping[str, Declaration]:
    """The declarations of a dataclass of options, by field.

    Raises:
      TypeError: a field is not declared with `option`.
    """
    declarations = {}
    for field in dataclasses.fields(options):
        if _KEY not in field.metadata:
            raise TypeError(f"{options.__name__}.{field.name}; expected a field made by option()")
        declaration = field.metadata[_KEY]
        declarations[field.name] = dataclasses.replace(
            declaration, flag=declaration.flag or field.name
        )
    return declarations
