"""The errors that users meet; the command line prints each as one line.

CodecError               anything that cannot be used or done
├─ OptionError           an option's value: option, expected, found
├─ FileError             an input or output: path, expected, found, advice
└─ TimeError             a time outside the video: expected, found; a ValueError too
"""


class CodecError(Exception):
    """Report an input that cannot be used: what was expected, what was found, what to do.

    `str(error)` is one line.
    """


class OptionError(CodecError):
    """Report an option whose value is not allowed.

    `option` is the name of the configuration's field, `expected` the allowed values in words,
    `found` the value as text.
    """

    def __init__(self, option: str, expected: str, found: str) -> None:
        super().__init__(option, expected, found)
        self.option, self.expected, self.found = option, expected, found

    def __str__(self) -> str:
        return f"{self.option}: expected {self.expected}; found {self.found}"


class FileError(CodecError):
    """Report a file that cannot be read or written as asked.

    `path` is its name as it was given, or a file object's; `expected`, `found` and `advice` are
    the parts of the text; the last two may be empty.
    """

    def __init__(self, path: str, expected: str, found: str, advice: str = "") -> None:
        super().__init__(*(path, expected, found, advice))  # the parts, for pickle
        self.path, self.expected, self.found, self.advice = path, expected, found, advice

    def __str__(self) -> str:
        found = f", found {self.found}" if self.found else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"expected {self.expected}{found}{advice}"


class TimeError(CodecError, ValueError):
    """Report a time that is outside a video: `expected` and `found` in words."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected, self.found = expected, found

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}"
