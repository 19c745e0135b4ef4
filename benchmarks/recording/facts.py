"""Answers as facts: (metric, rule, field, value), so that two records can be compared field by field."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

import canaryjudge as cj

__all__ = ["Case", "Fact", "asked", "first_of", "masked", "of_command", "of_value", "of_verdict", "plain"]

Fact = tuple[str, str, str, Any]
Case = tuple[str, Callable[[], Iterable[Fact]]]
"""A case's stable name, and what answers it."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_TAG: Final = re.compile(r"(?s)<(style|script)\b.*?</\1>|<[^>]*>")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


def asked(case: Case) -> list[Fact]:
    """Ask one case; what it raises and warns of are facts too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = list(case[1]())
        except Exception as error:  # noqa: BLE001 - what is raised is an answer
            found = _raised(error)
    if said := [f"{each.category.__name__}: {masked(str(each.message))}" for each in caught]:
        found.append(("", "", "warned", said))
    return found


def _raised(error: Exception) -> list[Fact]:
    return [
        ("", "", "raised", type(error).__name__),
        ("", "", "raised.bases", [each.__name__ for each in type(error).__mro__[1:-1]]),
        ("", "", "raised.words", masked(str(error)).splitlines()),
    ]


def of_verdict(verdict: Any, metric: str = "") -> list[Fact]:
    """Give everything that a verdict says, in fields and in words; `metric` stands before the metrics' names."""
    found = _of_document(verdict.to_dict(), metric)
    for name, words in (
        ("explain", verdict.explain()),
        ("markdown", verdict.to_markdown()),
        ("repr", repr(verdict)),
    ):
        found.append((metric, "", f"words.{name}", _lines(words)))
    found.append((metric, "", "words.html", _digest(_html_text(verdict.to_html()))))
    return found


def _of_document(document: Mapping[str, Any], metric: str = "") -> list[Fact]:
    """Flatten a verdict: findings are known by metric and rule."""
    before = f"{metric}/" if metric else ""
    found = [
        (metric, "", field, value)
        for field, value in _flat({key: value for key, value in document.items() if key != "metrics"})
    ]
    for name, result in document["metrics"].items():
        own = {key: value for key, value in result.items() if key != "findings"}
        found += [(before + name, "", field, value) for field, value in _flat(own)]
        found += _of_findings(before + name, "", result["findings"])
    return found


def _of_findings(metric: str, group: str, findings: Iterable[Mapping[str, Any]]) -> Iterator[Fact]:
    seen: dict[str, int] = {}
    for finding in findings:
        name = finding["rule"]
        seen[name] = seen.get(name, 0) + 1
        rule = f"{group}{name}" + (f"#{seen[name]}" if seen[name] > 1 else "")
        own = {key: value for key, value in finding.items() if key != "parts"}
        for field, value in _flat(own):
            yield metric, rule, field, value
        yield from _of_findings(metric, f"{rule}/", finding.get("parts", ()))


def of_value(value: Any, metric: str = "", rule: str = "", field: str = "value") -> list[Fact]:
    """Give what any answer holds; a verdict in it is flattened as one."""
    found: list[Fact] = []
    for name, each in _flat(plain(value), field):
        found += (
            _of_document(each, f"{metric}/{name}".strip("/"))
            if _is_verdict(each)
            else [(metric, rule, name, each)]
        )
    return found


def _is_verdict(value: Any) -> bool:
    return isinstance(value, Mapping) and {"schema_version", "outcome", "metrics"} <= value.keys()


def plain(value: Any) -> Any:
    """Turn an answer into what JSON has words for."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Path):
        return masked(str(value))
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.tolist()]
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [plain(each) for each in value]
        return sorted(parts, key=repr) if isinstance(value, (set, frozenset)) else parts
    return masked(repr(value))


def _flat(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over what is nested; lists of plain values stay whole."""
    if isinstance(value, Mapping) and value and not _is_verdict(value):
        for key, each in value.items():
            yield from _flat(each, f"{field}.{key}" if field else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(each, (Mapping, list, tuple)) for each in value):
        for index, each in enumerate(value):
            yield from _flat(each, f"{field}.{index}")
    elif isinstance(value, str):
        yield field, value if field.endswith("digest") else masked(value)
    else:
        yield field, value


def masked(text: str) -> str:
    """Hide what differs from run to run, from place to place and from version to version."""
    for path, name in _places().items():
        text = text.replace(path, name)
    text = text.replace(cj.__version__, "VERSION") if len(cj.__version__) > 3 else text
    return _ADDRESS.sub("", _DIGEST.sub("DIGEST", text))


def _places() -> dict[str, str]:
    here = Path.cwd()
    return {str(here.resolve()): "HERE", str(here): "HERE", **_repository()}


@cache
def _repository() -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    package = Path(cj.__file__).resolve().parents[1]
    return {str(root): "REPOSITORY", str(package): "REPOSITORY", str(root.parent): "BESIDE"}


def _lines(text: str) -> list[str]:
    return masked(text).splitlines()


def _html_text(page: str) -> str:
    return masked(unescape(_TAG.sub("\n", page)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def of_command(
    *arguments: str, stdin: bytes = b"", outputs: Iterable[str] = (), metric: str = ""
) -> list[Fact]:
    """Run the command line in this process; give its exit code, what it said, and the files that it wrote."""
    code, said, complained = _run(arguments, stdin)
    found: list[Fact] = [(metric, "", "exit", code)]
    found += _of_text("stdout", said, metric)
    found.append((metric, "", "stderr", _lines(complained)))
    for name in outputs:
        path = Path(name)
        for each in sorted(path.iterdir()) if path.is_dir() else [path]:
            if each.is_file():
                found += _of_text(f"file {each.relative_to(path.parent)}", each.read_text("utf-8"), metric)
            else:
                found.append((metric, "", f"file {each.name}", "is not there"))
    return found


def _run(arguments: Iterable[str], stdin: bytes) -> tuple[Any, str, str]:
    main = import_module("canaryjudge.cli").main
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    kept, sys.stdin = sys.stdin, io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code: Any = main([str(each) for each in arguments])
            except SystemExit as stop:
                code = stop.code
    finally:
        sys.stdin = kept
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def _of_text(field: str, text: str, metric: str) -> list[Fact]:
    """Flatten what is JSON, take the words of a page, and leave other text in its lines."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if isinstance(document, (dict, list)):
            return of_value(document, metric, field=field)
    if text.startswith("<!DOCTYPE html>"):
        lines = [line.strip() for line in _html_text(text).splitlines()]
        return [
            (metric, "", f"{field}.words", [line for line in lines if line]),
            (metric, "", f"{field}.page", _digest(masked(text))),
        ]
    return [(metric, "", field, _lines(text))]


def first_of(candidates: Iterable[str]) -> Any:
    """Import the first of some names that is there, each written ``module:name``."""
    tried = tuple(candidates)
    for each in tried:
        module, _, name = each.partition(":")
        try:
            found = import_module(module)
        except ModuleNotFoundError:
            continue
        if hasattr(found, name):
            return getattr(found, name)
    raise ImportError(f"none of {', '.join(tried)} is there")
