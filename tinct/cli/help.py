"""How help is laid out: options under the headings of their panels, commands under theirs.

It is plain text, written without loading Rich. `app` turns errors into one line.
"""

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

NAMES = ["-h", "--help"]
_NO_BRACES = str.maketrans("", "", "{}")
EXAMPLES = (
    ("tinct encode talk.mp4", "makes talk.mkv, which any player shows"),
    ("tinct encode talk.mp4 small.mp4", "a plain file, for whatever plays MP4"),
    ("tinct encode *.mp4 --out coded", "each of them, into the folder coded"),
    ("tinct decode talk.mkv back.mp4", "an ordinary video again"),
    ("tinct colourise grey.mp4 c.mp4 --references frames", "colour from a few frames"),
)


class PanelCommand(TyperCommand):
    """A command whose help shows its options under the headings of their panels."""

    def collect_usage_pieces(self, context: Any) -> list[str]:
        """Return the words of the usage line, without Typer's braces."""
        pieces = super().collect_usage_pieces(context)
        return [piece.translate(_NO_BRACES) for piece in pieces]

    def format_options(self, context: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None) or "Options"
                kind = "Arguments" if parameter.param_type_name == "argument" else panel
                name = record[0].partition(" <")[0] if kind == "Arguments" else record[0]
                panels.setdefault(kind, []).append((name, record[1]))
        _write_panels(formatter, panels)


class PanelGroup(TyperGroup):
    """The program itself: its help shows examples, then the commands by what they are for."""

    def format_options(self, context: Any, formatter: Any) -> None:
        with formatter.section("Examples"):
            formatter.write_dl(EXAMPLES)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(context):
            command = self.get_command(context, name)
            assert command is not None
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            panels.setdefault(panel, []).append((name, command.get_short_help_str(limit=200)))
        _write_panels(formatter, panels)
        records = [p.get_help_record(context) for p in self.get_params(context)]
        _write_panels(formatter, {"Options": [record for record in records if record is not None]})

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """Find the command; where a file stands in its place, say what takes one."""
        try:
            return super().resolve_command(context, args)
        except TyperException as error:
            if Path(args[0]).exists():
                error.message = f"expected a command, found a file: tinct encode {args[0]}"
            raise


def _write_panels(formatter: Any, panels: dict[str, list[tuple[str, str]]]) -> None:
    for panel, records in panels.items():
        with formatter.section(panel):
            formatter.write_dl(records)


def explain(error: TyperException) -> str:
    """Return one line on an error of the command line, with what may have been meant."""
    near = getattr(error, "possibilities", None)
    message = error.message.rstrip(".") if near else error.format_message()
    if near:
        message += f"; did you mean {near[0]}?"
    context = getattr(error, "ctx", None)
    if context is not None and not near and ": tinct" not in message and "mean" not in message:
        message = f"{message.rstrip('.')}; {context.command_path} -h shows what there is"
    return message
