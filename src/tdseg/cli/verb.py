"""A verb of the command from the function that it runs, whose signature and docstring say what its options are."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclopts import Parameter, Token

from tdseg.cli.terminal import DONE, parse_size, progress_bar
from tdseg.errors import ConfigError

T = TypeVar("T")
Present = Callable[..., int | None]
_SHORT = {"output": "-o"}
"""Short names; an option that has one is never positional."""
_TYPED = (NoneType, bool, int, float, Path)


@dataclass
class Call(Generic[T]):
    """The function of a verb with its arguments, as they are on the command line."""

    function: Callable[..., T]
    arguments: dict[str, Any]
    quiet: bool

    def __call__(self, **changes: Any) -> T:
        """Run the function, some arguments changed, under a progress bar where it tells of its progress."""
        arguments = self.arguments | changes
        if "on_progress" not in inspect.signature(self.function).parameters:
            return self.function(**arguments)
        with progress_bar(self.quiet) as on_progress:
            return self.function(**arguments, on_progress=on_progress)


def verb(function: Callable[..., T], *, hide: Collection[str] = ()) -> Callable[[Present], Callable[..., int]]:
    """Make a verb of what presents the result of a function.

    Its options are the parameters of the function, with the annotations and the docstring of these; those without a
    default are positional. The presentation takes a `Call` and the options that it adds. Where it names one that the
    function has, its kind, type and default hold, and both get the value.

    Args:
        function: of the library.
        hide: those of its parameters that are no options, `on_progress` beside.
    """

    def decorate(present: Present) -> Callable[..., int]:
        shown = inspect.signature(present, eval_str=True)
        (first, _), *added = shown.parameters.items()
        own, library = dict(added), _options(function, {*hide, "on_progress"})
        signature = inspect.Signature(sorted((library | own).values(), key=lambda option: option.kind))

        def command(*args: Any, **kwargs: Any) -> int:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            values = given.arguments
            named = [values[name] for name, option in library.items() if option.kind is option.POSITIONAL_ONLY]
            _check_no_option(named, library | own)  # what a presentation takes, such as fields of a recipe, may be any
            call: Call[T] = Call(function, {name: values[name] for name in library}, values.get("quiet", False))
            bound = inspect.BoundArguments(shown, {first: call} | {name: values[name] for name in own})
            return present(*bound.args, **bound.kwargs) or DONE

        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {}  # else they are taken for those of the signature
        command.__doc__ = _help(inspect.getdoc(function) or "")
        return command

    return decorate


def _options(function: Callable[..., object], hide: Collection[str]) -> dict[str, inspect.Parameter]:
    """The parameters of a function, but for some, as they are on a command line."""
    hints, options = get_type_hints(function), {}
    for name, one in inspect.signature(function).parameters.items():
        if name not in hide:
            positional = one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty and name not in _SHORT
            options[name] = one.replace(
                kind=one.POSITIONAL_ONLY if positional else one.KEYWORD_ONLY,
                annotation=Annotated[
                    _typed(hints[name]),
                    Parameter(alias=_SHORT.get(name), show_default=False if one.default == () else None),
                ],
            )
    return options


def _typed(hint: Any) -> Any:
    """What of a type is typed: a size as HxW, a dataclass as an option for each field, what has a name as text."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if is_dataclass(hint):
        return Annotated[hint, Parameter(name="*")]
    if tuple[int, int] in kinds:
        return Annotated[hint, Parameter(n_tokens=1, converter=_size, metavar="HxW", negative=())]
    if hint == tuple[str, ...]:
        names = Parameter(n_tokens=1, converter=_names, metavar="A,B", negative=(), show_default=",".join)
        return Annotated[hint, names]
    if get_origin(hint) is Sequence:
        return Annotated[list[str], Parameter(allow_leading_hyphen=True, negative=())]
    video = str in kinds and int in kinds  # "-" is stdin
    known = [kind for kind in kinds if kind in ((str, NoneType) if str in kinds else _TYPED)]
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    return Annotated[Union[*known, *([Literal[*choices]] if choices else [])], Parameter(allow_leading_hyphen=video)]


def _check_no_option(given: Sequence[Any], options: dict[str, inspect.Parameter]) -> None:
    """Refuse what was taken for a source because "-" is one.

    Raises:
        ConfigError: it begins with a hyphen.
    """
    texts = [text for value in given for text in (value if isinstance(value, list) else [value])]
    for text in texts:
        if isinstance(text, str) and text.startswith("-") and text != "-":
            hints = [get_args(option.annotation)[0] for option in options.values()]
            names = [*options, *(field.name for hint in hints if is_dataclass(hint) for field in fields(hint))]
            near = difflib.get_close_matches(text, [f"--{name.replace('_', '-')}" for name in names], n=1, cutoff=0.7)
            raise ConfigError(
                f"unknown option {text}",
                expected="an option that the help lists, or a file; one that is called so as ./" + text,
                do=f"did you mean {near[0]}?" if near else "see --help",
            )


def _size(_: Any, tokens: Sequence[Token]) -> tuple[int, int]:
    return parse_size(tokens[0].value)


def _names(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Those of a comma list; of "none" and of an empty one, none."""
    names = (name.strip() for token in tokens for name in token.value.split(","))
    return tuple(name for name in names if name not in ("", "none"))


def _help(docstring: str) -> str:
    """The docstring in the words of a command line: an argument that is None is one that is not given."""
    text = re.sub(r"\bNone:\s+", "by default ", docstring)
    return re.sub(r"(?m)^( +\w+: )(\w)", lambda match: match[1] + match[2].upper(), text)
