"""How a back-end is named: ``kind[:path][?option=value&...]``, e.g. ``onnx:models/yolox.onnx?confidence=0.4``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl


class BackendError(ValueError):
    """A detector or an embedder that cannot be made; the message says why and what to do, on one line."""


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric option of a back-end: its default and the range it may have."""

    default: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spec:
    """A back-end as it was asked for.

    Attributes:
        text: as written.
        kind: which back-end.
        argument: what follows the colon, empty for none.
        options: what follows the question mark.
    """

    text: str
    kind: str
    argument: str
    options: Mapping[str, str]

    def numbers(self, *, texts: Sequence[str] = (), **allowed: Number) -> dict[str, float]:
        """Give the options as numbers, defaults where they are not set; those in ``texts`` may be there too.

        Raises:
            BackendError: an option that this back-end has not, no number, or one out of range.
        """
        for name in self.options:
            if name not in allowed and name not in texts:
                choices = ", ".join(sorted([*allowed, *texts])) or "none"
                raise BackendError(
                    f"{self.text!r}: unknown option {name!r}; options of {self.kind}: {choices}"
                )
        return {name: self._number(name, option) for name, option in allowed.items()}

    def _number(self, name: str, option: Number) -> float:
        try:
            value = float(self.options.get(name, option.default))
        except ValueError:
            value = float("nan")
        if not option.low <= value <= option.high:
            raise BackendError(
                f"{self.text!r}: {name} must be a number from {option.low:g} to {option.high:g}, "
                f"got {self.options[name]!r}"
            )
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Give an option that is one of a few words, the first of them where it is not set.

        Raises:
            BackendError: another word.
        """
        value = self.options.get(name, choices[0])
        if value not in choices:
            raise BackendError(f"{self.text!r}: {name} must be one of {', '.join(choices)}, got {value!r}")
        return value

    def file(self) -> Path:
        """Give the argument as the path of a file that exists.

        Raises:
            BackendError: no path, or no file there.
        """
        if not self.argument:
            raise BackendError(f"{self.text!r} names no file: write {self.kind}:PATH")
        path = Path(self.argument).expanduser()
        if not path.is_file():
            raise BackendError(
                f"{self.text!r}: no file at {path.absolute()}: put the model there or name another path"
            )
        return path

    def no_argument(self) -> None:
        """Refuse a path where the back-end takes none.

        Raises:
            BackendError: there is one.
        """
        if self.argument:
            raise BackendError(f"{self.text!r}: {self.kind} takes no path: write {self.kind}")


def parse_spec(text: str) -> Spec:
    """Split a back-end's name into kind, argument and options.

    Raises:
        BackendError: options that are not ``name=value`` pairs, or an option given twice.
    """
    name, mark, query = text.strip().partition("?")
    kind, _, argument = name.partition(":")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(mark))
    except ValueError:
        raise BackendError(f"{text!r}: after the question mark write option=value, joined by &") from None
    options = dict(pairs)
    if len(options) != len(pairs):
        raise BackendError(f"{text!r}: an option is given twice")
    return Spec(text=text, kind=kind.strip(), argument=argument.strip(), options=options)
