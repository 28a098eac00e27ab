"""Patterns that find the name of a file's group in its path, for `data.groups`."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "{group}"
_MAX_STARS = 4


@dataclass(frozen=True)
class NamePattern:
    """A pattern of literal text, `*` for any text, and `{group}` once for the name of the group.

    Stars take as little as they can and the group takes the rest. Matching takes time proportional to the length of the
    path.

    Attributes:
        before: literal texts before the group, between stars; a path starts with the first one.
        after: literal texts after the group, between stars; a path ends with the last one.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Read a pattern.

        Raises:
            ValueError: it has no `{group}` or more than one, more than four stars, or wildcards side by side.

        Example:
            >>> NamePattern.parse("*_{group}_*")
            NamePattern(before=('', '_'), after=('_', ''))
        """
        if text.count(GROUP) != 1:
            raise ValueError(f"a pattern needs {GROUP} once, as in *_{GROUP}_*, not {text!r}")
        if text.count("*") > _MAX_STARS:
            raise ValueError(f"a pattern has at most {_MAX_STARS} stars, not {text.count('*')} as in {text!r}")
        if any(pair in text for pair in ("**", f"*{GROUP}", f"{GROUP}*")):
            raise ValueError(f"a pattern needs some text between two wildcards, unlike {text!r}")
        before, _, after = text.partition(GROUP)
        return cls(tuple(before.split("*")), tuple(after.split("*")))

    def group(self, path: str) -> str | None:
        """The name of the group of a path; None if it does not match.

        Example:
            >>> NamePattern.parse("*_{group}_*").group("7_theo_12")
            'theo'
            >>> NamePattern.parse("{group}-*-*").group("1-100032-A-0")
            '1-100032'
            >>> NamePattern.parse("{group}-*").group("plain") is None
            True
        """
        head, *middle = self.before
        *rest, tail = self.after
        if not path.startswith(head) or not path.endswith(tail):
            return None
        begin, end = len(head), len(path) - len(tail)
        for literal in middle:  # the first place from the left is never worse than a later one
            found = path.find(literal, begin)
            if found < 0:
                return None
            begin = found + len(literal)
        for literal in reversed(rest):
            found = path.rfind(literal, 0, end)
            if found < 0:
                return None
            end = found
        return path[begin:end] if begin < end else None
