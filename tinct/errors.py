"""The errors that users meet; the command line prints each as one line."""


class CodecError(Exception):
    """Report an input that cannot be used: what was expected, what was found, what to do."""


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
