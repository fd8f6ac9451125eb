"""How an option is declared: its values, its help and where it is shown. `config` declares them."""

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a configuration.

    A value is allowed if it is one of `choices`, a whole number (`kind` int) or any number (float)
    of `low` to `high`, or a text that `accepts` approves, which `values` describes in words and
    `shown` in help. An option with none of these is a flag. `panel` is its heading in help and
    guide, `flag` its name on the command line where that is not the field's, and `usual` says what
    None stands for.
    """

    help: str
    panel: str
    choices: tuple[str, ...] = ()
    kind: type[int] | type[float] | None = None
    low: float = 0
    high: float = 0
    accepts: Callable[[str], bool] | None = None
    values: str = ""
    shown: str = ""
    flag: str = ""
    usual: str = ""

    @property
    def is_flag(self) -> bool:
        return not self.choices and self.kind is None and self.accepts is None

    @property
    def expected(self) -> str:
        """Return the allowed values in words, such as "auto or 1 to 96"."""
        if self.accepts is not None:
            return self.values
        if self.kind is not None:
            numbers = f"{self.low:,g} to {self.high:,.0f}"
            return f"{', '.join(self.choices)} or {numbers}" if self.choices else numbers
        return f"one of {', '.join(self.choices)}" if self.choices else "true or false"

    @property
    def metavar(self) -> str:
        """Return the allowed values as help shows them, such as "[auto|1..96]"."""
        if self.accepts is not None:
            return self.shown
        numbers = [f"{self.low:g}..{self.high:.0f}"] if self.kind is not None else []
        return f"[{'|'.join([*self.choices, *numbers])}]"

    def allows(self, value: object) -> bool:
        """Return whether `value`, which is not None, may be given."""
        if isinstance(value, bool) or self.is_flag:
            return isinstance(value, bool) and self.is_flag
        if isinstance(value, str):
            return value in self.choices or (self.accepts is not None and self.accepts(value))
        if self.kind is None or not isinstance(value, Integral if self.kind is int else Real):
            return False
        return self.low <= float(cast("float", value)) <= self.high

    def parse(self, text: str) -> Any:
        """Return the value that `text` stands for on a command line, else `text` itself."""
        if self.kind is None or text in self.choices or not text.isascii():
            return text
        try:
            return self.kind(text)
        except ValueError:
            return text


def option(default: Any, help: str, panel: str, **declaration: Any) -> Any:
    """Return a dataclass field that carries its `Option`, made of `declaration`."""
    declared = Option(help=help, panel=panel, **declaration)
    return dataclasses.field(default=default, metadata={"option": declared})


def declared_options(config: type) -> dict[str, Option]:
    """Return the options of a dataclass by field name, each with its `flag` filled in."""
    found = {}
    for part in dataclasses.fields(config):
        declared: Option = part.metadata["option"]
        flag = declared.flag or part.name.replace("_", "-")
        found[part.name] = dataclasses.replace(declared, flag=flag)
    return found


def describe_options(config: type, panels: Iterable[str]) -> str:
    """Return a dataclass's docstring with its options below, panel by panel."""
    defaults = {part.name: part.default for part in dataclasses.fields(config)}
    lines, margin = [inspect.cleandoc(config.__doc__ or "")], " " * 6
    for panel in panels:
        lines += ["", panel]
        for name, option in declared_options(config).items():
            if option.panel == panel:
                usual = f" ({option.usual})" if option.usual else ""
                values = f"{name}: {option.expected}; default {defaults[name]!r}{usual}"
                lines += textwrap.wrap(values, 96, initial_indent="  ", subsequent_indent=margin)
                lines += textwrap.wrap(
                    option.help, 96, initial_indent=margin, subsequent_indent=margin
                )
    return "\n".join(lines) + "\n"
