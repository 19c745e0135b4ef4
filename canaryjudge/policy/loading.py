"""Policies from files: YAML or JSON, with file, line and column in every complaint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from canaryjudge.errors import PolicyError
from canaryjudge.policy.base import problems
from canaryjudge.policy.models import Policy

__all__ = ["load_policy", "parse_policy"]

_MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 20


class _Place(NamedTuple):
    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class _Document(NamedTuple):
    """Plain data, and where each key and value of it was written."""

    data: dict[str, Any]
    keys: dict[tuple[str | int, ...], _Place]
    values: dict[tuple[str | int, ...], _Place]


def load_policy(path: str | Path) -> Policy:
    """Read a policy from a YAML or JSON file, with what it `extends`.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    Policy
        The policy, merged with those that it extends.

    Raises
    ------
    PolicyError
        If the file cannot be read, or its content is not a policy: with file, line, column and what to do.

    Examples
    --------
    >>> policy = load_policy("docs/examples/checkout/policy.yaml")
    >>> [metric.name for metric in policy.metrics]
    ['errors', 'latency_p99', 'cpu', 'requests']
    """
    return _validated(_merged(Path(path), ()))


def parse_policy(text: str, name: str = "policy") -> Policy:
    """Read a policy from YAML or JSON text.

    Parameters
    ----------
    text : str
        The document.
    name : str
        What to call it in errors.

    Returns
    -------
    Policy
        The policy.

    Raises
    ------
    PolicyError
        As `load_policy`; `extends` needs a file.

    Examples
    --------
    >>> parse_policy("metrics: [{name: cpu, direction: increase}]").metrics[0].kind
    'gauge'
    """
    return _validated(_parse(text, name))


def _merged(path: Path, seen: tuple[Path, ...]) -> _Document:
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PolicyError(f"{name}: there is no such file", "Check the path.") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{name}: the file is not UTF-8 text", "Save it as UTF-8.") from None
    except OSError as error:
        raise PolicyError(f"{name}: the file cannot be read ({error.strerror})", "Check the path and its permissions.") from None
    document = _parse(text, name)
    parent = document.data.get("extends")
    if parent is None:
        return document
    if not isinstance(parent, str):
        raise PolicyError(f"{document.values['extends',]}: extends is not a path", "Name one policy file.")
    resolved = path.resolve()
    if resolved in seen or (path.parent / parent).resolve() in (*seen, resolved):
        raise PolicyError(f"{document.values['extends',]}: {parent!r} extends itself in a circle", "Break the circle.")
    return _merge(_merged(path.parent / parent, (*seen, resolved)), document)


def _merge(base: _Document, over: _Document) -> _Document:
    """Lay one document over another: keys of `over` win, metrics are merged by name, and every place is kept."""
    data = base.data | {key: value for key, value in over.data.items() if key not in ("extends", "metrics")}
    keys, values = dict(base.keys), dict(base.values)
    for key in over.data:
        if key != "metrics":
            _move(over, (key,), (key,), keys, values)
    merged = list(base.data.get("metrics", []))
    by_name = {metric.get("name"): index for index, metric in enumerate(merged) if isinstance(metric, dict)}
    for index, metric in enumerate(over.data.get("metrics", [])):
        target = by_name.get(metric.get("name"), len(merged)) if isinstance(metric, dict) else len(merged)
        if target == len(merged):
            merged.append(metric)
            _move(over, ("metrics", index), ("metrics", target), keys, values)
        else:
            merged[target] = merged[target] | metric
            for key in metric:
                _move(over, ("metrics", index, key), ("metrics", target, key), keys, values)
    data.pop("extends", None)
    return _Document(data | {"metrics": merged}, keys, values)


def _move(
    source: _Document,
    path: tuple[str | int, ...],
    to: tuple[str | int, ...],
    keys: dict[tuple[str | int, ...], _Place],
    values: dict[tuple[str | int, ...], _Place],
) -> None:
    for places, target in ((source.keys, keys), (source.values, values)):
        for old in [known for known in target if known[: len(to)] == to]:
            del target[old]
        target.update({to + known[len(path) :]: place for known, place in places.items() if known[: len(path)] == path})


def _parse(text: str, name: str) -> _Document:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only those who load files pay for it
    from ruamel.yaml.constructor import DuplicateKeyError  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    if len(text) > _MAX_CHARACTERS:
        raise PolicyError(f"{name}: the document has more than {_MAX_CHARACTERS:,} characters", "Is it a policy?")
    try:
        root = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1] if '"' in str(error.problem) else "?"
        mark = error.problem_mark
        raise PolicyError(f"{name}:{mark.line + 1}:{mark.column + 1}: the key {key!r} stands there twice", "Leave one out.") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        raise PolicyError(f"{where}: this is not YAML ({' '.join(str(error.problem).split())})", "Check indentation and quotes.") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise PolicyError(f"{name}: this is not YAML ({str(error).splitlines()[0]})", "Check indentation and quotes.") from None
    if not isinstance(root, dict):
        raise PolicyError(f"{name}: a policy is a mapping with the key 'metrics'", "Start from docs/examples/starter.yaml.")
    keys: dict[tuple[str | int, ...], _Place] = {}
    values: dict[tuple[str | int, ...], _Place] = {(): _Place(name, 1, 1)}
    return _Document(_plain(root, (), name, keys, values), keys, values)


def _plain(
    node: Any,
    path: tuple[str | int, ...],
    name: str,
    keys: dict[tuple[str | int, ...], _Place],
    values: dict[tuple[str | int, ...], _Place],
) -> Any:
    """Turn ruamel's nodes into plain data, and write down where each stood."""
    if len(path) > _MAX_DEPTH or len(values) > _MAX_CHARACTERS:
        raise PolicyError(f"{name}: the document is nested too deeply", "Is it a policy?")
    if isinstance(node, dict):
        plain = {}
        for key, value in node.items():
            inner = (*path, str(key))
            if key in node.lc.data:
                line, column, value_line, value_column = node.lc.data[key]
                keys[inner] = _Place(name, line + 1, column + 1)
                values[inner] = _Place(name, value_line + 1, value_column + 1)
            plain[str(key)] = _plain(value, inner, name, keys, values)
        return plain
    if isinstance(node, list):
        for index in range(len(node)):
            line, column = node.lc.item(index)
            values[*path, index] = _Place(name, line + 1, column + 1)
        return [_plain(value, (*path, index), name, keys, values) for index, value in enumerate(node)]
    for plain_type in (bool, int, float, str):
        if isinstance(node, plain_type):
            return plain_type(node)
    return node


def _validated(document: _Document) -> Policy:
    try:
        return Policy.__pydantic_validator__.validate_python(document.data)  # the raw report: PolicyError would lose the places
    except ValidationError as error:
        found = problems(Policy, error)
    lines = [f"{_place(document, problem.path, at_key=problem.at_key)}: {problem.message}. {problem.hint}".rstrip(". ") for problem in found]
    raise PolicyError("\n".join(lines))


def _place(document: _Document, path: tuple[str | int, ...], *, at_key: bool) -> _Place:
    for places in (document.keys, document.values) if at_key else (document.values,):
        if path in places:
            return places[path]
    return _place(document, path[:-1], at_key=False) if path else document.values[()]
