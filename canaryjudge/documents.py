"""What every report has in common: it is plain data that reads back, and it shows itself."""

from __future__ import annotations

import json
from abc import abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from canaryjudge.errors import DataError
from canaryjudge.rules.findings import Facts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Document", "read_json"]

_Model = TypeVar("_Model", bound=BaseModel)


def read_json(model: type[_Model], text: str | bytes, what: str) -> _Model:
    """Read what a report wrote as JSON.

    Parameters
    ----------
    model : type
        The report's.
    text : str or bytes
        The JSON.
    what : str
        What it should be, for the error.

    Raises
    ------
    DataError
        If it is something else.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DataError(
            f"this is not a {what}: {where}: {first['msg']}", "Give the JSON that canaryjudge wrote."
        ) from None


class Document(Facts):
    """Base of calibrations, plans and checks of readiness."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data, as `to_json` writes it."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Give it as JSON; the same input gives the same bytes, and `from_json` reads it back."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the text is something else.
        """
        return read_json(cls, text, cls.__name__.lower())

    @abstractmethod
    def explain(self) -> str:
        """Give it in sentences and tables, for a terminal."""

    @abstractmethod
    def to_markdown(self) -> str:
        """Give it as Markdown, for a pull request or a pipeline's summary."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Give its table as a pandas frame."""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.explain())}</pre>"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__
