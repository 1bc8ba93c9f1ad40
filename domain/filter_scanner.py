"""The words of containerd's filter language (its ``pkg/filters/scanner.go`` and ``quote.go``)."""

import re
from enum import Enum, auto

from .errors import InvalidArgumentError

END = ""
"""What ``peek`` gives at the end."""

_QUOTES = '"/|'
_OPERATORS = "=!~"
_SEPARATORS = ",."
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_OCTAL_LENGTH = 3
_MAX_BYTE = 0xFF
_MAX_RUNE = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_SHOWN = 200

# containerd asks one filter for each layer that it is given: runs of characters are gone over at
# once.
_FIELD = re.compile("[0-9A-Za-z_]*")
_PLAIN_VALUE = re.compile(r"[!-+\--~]*")
"""What ``_is_value`` allows among the characters of ASCII."""
_UNQUOTED = {quote: re.compile(rf"[^{quote}\\\n]*") for quote in _QUOTES}
_EQUALITY = re.compile(
    r'([0-9A-Za-z_]+)(?:\."([ !#-\[\]-~]*)")?=='
    r'(?:"([ !#-\[\]-~]*)"|([0-9A-Za-z_][!-+\--~]*))(?=,|\Z)'
)
"""What containerd itself asks: ``labels."key"==value,parent=="name"``, without any escape."""


class Token(Enum):
    """Kinds of words."""

    END = auto()
    FIELD = auto()
    QUOTED = auto()
    SEPARATOR = auto()
    OPERATOR = auto()
    VALUE = auto()
    ILLEGAL = auto()


def _is_value(character: str) -> bool:
    return character != "," and character.isprintable() and not character.isspace()


class Scanner:
    """Gives the words of one filter, one after the other.

    Whitespace between words is passed over. What follows an operator is a value, in which only
    whitespace and commas end the word.
    """

    def __init__(self, text: str) -> None:
        """Start at the beginning of the filter ``text``."""
        self._text = text
        self._next = 0
        self._word = 0
        self._after_operator = False

    def peek(self) -> str:
        """Look at the next character, whitespace too, without going on; ``END`` at the end."""
        return self._text[self._next : self._next + 1]

    def equality(self) -> tuple[tuple[str, ...], str] | None:
        """Go over a whole selector with ``==``, if it is of the plain kind that containerd asks.

        Returns:
            The parts of its field path and its value, as word after word would give them; None if
            it has to be read that way, and nothing was gone over.
        """
        found = _EQUALITY.match(self._text, self._next)
        if found is None:
            return None
        self._next = found.end()
        name, quoted, value, bare = found.groups()
        return (name,) if quoted is None else (name, quoted), bare if value is None else value

    def scan(self) -> tuple[Token, str]:
        """Go over whitespace and one word.

        Returns:
            The kind of the word and the word as it stands, quotes included.
        """
        while self.peek().isspace():
            self._next += 1
        self._word = self._next
        character = self.peek()
        self._next += len(character)
        token = self._finish(character)
        self._after_operator = token is Token.OPERATOR
        return token, self._text[self._word : self._next]

    def _finish(self, character: str) -> Token:  # noqa: PLR0911 - a table of characters
        if character == END:
            return Token.END
        if character in _QUOTES:
            return Token.QUOTED if self._skip_quoted(character) else Token.ILLEGAL
        if character in _SEPARATORS:
            return Token.SEPARATOR
        if character in _OPERATORS:
            while self.peek() and self.peek() in _OPERATORS:
                self._next += 1
            return Token.OPERATOR
        if self._after_operator and _is_value(character):
            self._skip(_PLAIN_VALUE)
            while self.peek() and _is_value(self.peek()):
                self._next += 1
                self._skip(_PLAIN_VALUE)
            return Token.VALUE
        if _FIELD.fullmatch(character):
            self._skip(_FIELD)
            return Token.FIELD
        return Token.ILLEGAL

    def _skip(self, run: re.Pattern[str]) -> None:
        found = run.match(self._text, self._next)
        self._next = found.end() if found else self._next

    def _skip_quoted(self, quote: str) -> bool:
        self._skip(_UNQUOTED[quote])
        while (character := self.peek()) not in {END, "\n"}:
            self._next += 1
            if character == quote:
                return True
            if character == "\\":
                self._next += len(self.peek())
            self._skip(_UNQUOTED[quote])
        return False

    def error(self, problem: str) -> InvalidArgumentError:
        """Make the error that shows where the last word stands and what is wrong with it."""
        before = self._text[: self._word][-_SHOWN:]
        after = self._text[self._word :][:_SHOWN]
        return InvalidArgumentError(f"filter is malformed at {before!r} >>> {after!r}: {problem}")


def unquote(quoted: str) -> str | None:
    r"""Take the quotes from a word and read its escapes, as Go's ``strconv.Unquote`` does.

    The quote character itself may be escaped whichever it is. ``\x`` and octal escapes give
    bytes, which must make up UTF-8 together.

    Args:
        quoted: the word with its quotes.

    Returns:
        The text, or None if an escape cannot be read.
    """
    quote, body = quoted[0], quoted[1:-1]
    if "\\" not in body:
        return body
    out = bytearray()
    position = 0
    while position < len(body):
        character = body[position]
        position += 1
        if character != "\\":
            out += character.encode()
            continue
        escape = body[position : position + 1]
        position += 1
        if escape and (escape in _SIMPLE_ESCAPES or escape == quote):
            out += _SIMPLE_ESCAPES.get(escape, escape).encode()
            continue
        read = _number(escape, body, position)
        if read is None:
            return None
        piece, position = read
        out += piece
    try:
        return out.decode()
    except UnicodeDecodeError:
        return None


def _number(escape: str, body: str, position: int) -> tuple[bytes, int] | None:
    if escape in _HEX_LENGTHS:
        length, allowed = _HEX_LENGTHS[escape], "0123456789abcdefABCDEF"
    else:
        length, allowed = _OCTAL_LENGTH, "01234567"
        position -= 1
    digits = body[position : position + length]
    if len(digits) != length or not set(digits).issubset(allowed):
        return None
    code = int(digits, 8 if allowed == "01234567" else 16)
    end = position + length
    if escape in {"u", "U"}:
        is_text = code <= _MAX_RUNE and code not in _SURROGATES
        return (chr(code).encode(), end) if is_text else None
    return (bytes([code]), end) if code <= _MAX_BYTE else None
