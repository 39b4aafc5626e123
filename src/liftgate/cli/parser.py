"""Argument parser that reports an unknown argument as one error, with the nearest known one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from liftgate.errors import UsageError
from liftgate.suggestions import did_you_mean


def at_least(least: int) -> Callable[[str], int]:
    """Return a type for options that are whole numbers from `least` on."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"expected at least {least}, got {value}")
        return value

    return number


def is_given(args: argparse.Namespace, name: str) -> bool:
    """Return whether an option was given, with _ for -; not where another kind of parser read the words."""
    return name in getattr(args, "given", ())


def refuse_given(
    args: argparse.Namespace, names: Sequence[str], why: str, *, expected: str | None = None, hint: str | None = None
) -> None:
    """Refuse options that were given and would do nothing.

    Args:
        args: the parsed words.
        names: of options, with _ for -.
        why: they do nothing.
        expected: what they need.
        hint: what to do about it.

    Raises:
        UsageError: names those that were given.
    """
    if found := [f"--{name.replace('_', '-')}" for name in names if is_given(args, name)]:
        raise UsageError(why, got=", ".join(found), expected=expected, hint=hint)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError; its hint is the nearest known argument, or the --help to read."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print below a page of usage."""
        wrong = re.match(r"argument (?P<option>.+?): invalid choice: (?P<quote>['\"])(?P<word>.*?)(?P=quote)", message)
        near = None if wrong is None else did_you_mean(wrong["word"], self._choices(wrong["option"]))
        raise UsageError(message, hint=near or f"{self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown arguments in the verb's parser, where its options are known, not in the parent's."""
        words, rest = super().parse_known_args(args, namespace)
        if rest:
            options = [option for action in self._actions for option in action.option_strings]
            near = next((hint for word in rest if (hint := did_you_mean(word.partition("=")[0], options))), None)
            hint = near or self._folder_hint(rest) or f"{self.prog} --help"
            raise UsageError(f"unknown: {' '.join(rest)}", hint=hint)
        words.given = getattr(words, "given", frozenset()) | self._given(sys.argv[1:] if args is None else args)
        return words, rest

    def _given(self, words: Sequence[str]) -> frozenset[str]:
        """Return the options that the words name; their values may be the default's all the same."""
        names = {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2}
        options = [(option, action.option_strings) for action in self._actions for option in action.option_strings]
        by_name = {option: alike[-1].lstrip("-").replace("-", "_") for option, alike in options}
        exact = {by_name[name] for name in names if name in by_name}
        short = {by_name[one] for name in names - set(by_name) for one in by_name if one.startswith(name)}
        return frozenset(exact | short)

    def _folder_hint(self, unknown: Sequence[str]) -> str | None:
        """Return that the folder stands alone, for `--out` at a verb that takes it as its only word."""
        if not {word.partition("=")[0] for word in unknown} & {"--out", "--dir", "-o"}:
            return None
        alone = [action.metavar for action in self._actions if not action.option_strings]
        return f"the folder stands without an option: {self.prog} DIR" if alone == ["DIR"] else None

    def _choices(self, option: str) -> Sequence[str]:
        for action in self._actions:
            if option in (*action.option_strings, "/".join(action.option_strings), action.metavar, action.dest):
                return [str(choice) for choice in action.choices or ()]
        return ()
