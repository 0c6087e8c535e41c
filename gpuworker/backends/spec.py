"""How a back-end is named: ``kind[:path][?option=value&...]``, e.g. ``onnx:models/yolox.onnx?confidence=0.4``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from django.conf import settings


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

    def numbers(self, *, texts: Collection[str] = (), **allowed: Number) -> dict[str, float]:
        """Give the options as numbers, defaults where they are not set.

        Args:
            texts: names of the options that are no numbers, to be read with :meth:`choice`.
            allowed: the numbers.

        Raises:
            BackendError: an option that this back-end has not, no number, or one out of range.
        """
        for name in self.options:
            if name not in allowed and name not in texts:
                choices = ", ".join(sorted({*allowed, *texts})) or "none"
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

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Give an option that is one of a few words, the first where it is not set.

        Raises:
            BackendError: another word.
        """
        value = self.options.get(name, next(iter(choices)))
        if value not in choices:
            raise BackendError(f"{self.text!r}: {name} must be one of {', '.join(choices)}, got {value!r}")
        return value

    def file(self, *, suffix: str = "", folders: bool = False) -> Path:
        """Give the argument as the path of a file that exists.

        A relative path that is not there is looked for in the folder of models.

        Args:
            suffix: what may be left out at the end.
            folders: True where a folder may be a model, too.

        Raises:
            BackendError: no path, or nothing there.
        """
        if not self.argument:
            raise BackendError(f"{self.text!r} names no file: write {self.kind}:PATH")
        path = Path(self.argument).expanduser()
        for folder in (Path(), Path(settings.SPOTON_MODELS)):
            for name in (path, path.with_name(path.name + suffix)):
                found = folder / name
                if found.is_file() or (folders and found.is_dir()):
                    return found
        where = f"{path.absolute()}"
        if not path.is_absolute():
            where += f" or in {settings.SPOTON_MODELS}"
        raise BackendError(f"{self.text!r}: no file at {where}: put the model there or name another path")

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
