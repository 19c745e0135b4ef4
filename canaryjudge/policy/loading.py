"""Policies from files: YAML or JSON, with file, line and column in every complaint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from canaryjudge.errors import PolicyError
from canaryjudge.limits import EXTENDED_FILES, POLICY_BYTES
from canaryjudge.policy.document import Complaint, Entry, Node, Place, locate, plain, read_document
from canaryjudge.policy.models import Policy
from canaryjudge.quantities import shown
from canaryjudge.settings import dotted, problems, sentences

__all__ = ["load_policy", "parse_policy", "read_text", "refusal"]

_MOST_LINES = 20


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
    return _validated(*_gathered(Path(path)))


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
    return _validated(*read_document(text, name))


def _gathered(path: Path) -> tuple[Node, list[Complaint]]:
    """Read a file and those that it extends, and lay each over the one that it extends."""
    layers: list[Node] = []
    complaints: list[Complaint] = []
    seen: set[Path] = set()
    wanted: Path | None = path
    asked_at: Place | None = None
    while wanted is not None:
        root, found = read_document(read_text(wanted, asked_at), str(wanted))
        layers.append(root)
        complaints += found
        seen.add(wanted.resolve())
        parent = _parent(root)
        if parent is None:
            break
        asked_at, wanted = parent.place, wanted.parent / str(parent.value)
        if _resolved(wanted, asked_at) in seen:
            raise PolicyError(
                f"{asked_at}: {shown(parent.value)} extends itself in a circle", "Break the circle."
            )
        if len(layers) >= EXTENDED_FILES:
            raise PolicyError(
                f"{asked_at}: more than {EXTENDED_FILES} files extend each other", "Shorten the chain."
            )
    merged = layers.pop()
    while layers:
        merged = _laid_over(merged, layers.pop())
    return merged, complaints


def read_text(path: Path, asked_at: Place | None = None, what: str = "a policy") -> str:
    """Read the text of a file, as far as a document of this kind may go.

    Raises
    ------
    PolicyError
        If it cannot be read; it names the place that asked for it, and what it should be.
    """
    where = f"{asked_at}: extends {str(path)!r}" if asked_at else str(path)
    try:
        with path.open("rb") as file:
            content = file.read(POLICY_BYTES)  # bounded, for a device has no end
    except FileNotFoundError:
        raise PolicyError(f"{where}: there is no such file", "Check the path.") from None
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror})"
        raise PolicyError(f"{where}: {reason}", "Check the path and its permissions.") from None
    except ValueError:
        raise PolicyError(f"{where}: this cannot be the name of a file", "Check the path.") from None
    if len(content) == POLICY_BYTES:
        raise PolicyError(f"{where}: the file has {POLICY_BYTES:,} bytes or more", f"Is it {what}?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyError(f"{path}:{line}: the file is not UTF-8 text", "Save it as UTF-8.") from None


def _parent(root: Node) -> Node | None:
    entry = root.value.get("extends") if isinstance(root.value, dict) else None
    if entry is None or entry.node.value is None:
        return None
    if not isinstance(entry.node.value, str) or not entry.node.value.strip():
        raise PolicyError(f"{entry.node.place}: extends is not a path", "Name one policy file.")
    return entry.node


def _resolved(path: Path, asked_at: Place) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        raise PolicyError(
            f"{asked_at}: extends {str(path)!r} cannot be followed", "Check the path."
        ) from None


def _laid_over(base: Node, over: Node) -> Node:
    """Lay one document over another: keys of `over` win, and metrics are merged by name."""
    below, above = _entries(base), _entries(over)
    entries = {key: entry for key, entry in {**below, **above}.items() if key != "extends"}
    if "metrics" in below and "metrics" in above:
        lower, upper = below["metrics"].node, above["metrics"].node
        if not isinstance(lower.value, list):
            entries["metrics"] = below["metrics"]  # wrong, and to be reported where it was written
        elif isinstance(upper.value, list):
            entries["metrics"] = Entry(
                above["metrics"].place, Node(upper.place, _by_name(lower.value, upper.value))
            )
    return Node(over.place, entries)


def _by_name(base: list[Node], over: list[Node]) -> list[Node]:
    merged = list(base)
    positions = {name: index for index, metric in enumerate(base) if (name := _name(metric)) is not None}
    for metric in over:
        # a second of the same name finds no position left: it is appended, and reported as standing there twice
        position = positions.pop(_name(metric) or "", None)
        if position is None:
            merged.append(metric)
        else:
            merged[position] = Node(metric.place, _entries(merged[position]) | _entries(metric))
    return merged


def _name(metric: Node) -> str | None:
    entry = _entries(metric).get("name")
    return entry.node.value if entry is not None and isinstance(entry.node.value, str) else None


def _entries(node: Node) -> dict[str, Entry]:
    return node.value if isinstance(node.value, dict) else {}


def _validated(root: Node, complaints: list[Complaint]) -> Policy:
    found = list(complaints)
    try:
        # the raw report: PolicyError would lose the places
        policy: Policy = Policy.__pydantic_validator__.validate_python(plain(root))
    except ValidationError as error:
        for path, message, hint, at_key in problems(Policy, error):
            where = dotted(path[:-1] if at_key else path)
            place = locate(root, path, at_key=at_key)
            if any(place == other.place for other in complaints):
                continue  # what could not be read is reported already
            found.append(Complaint(place, f"{where}: {message}" if where else message, hint))
    else:
        if not found:
            return policy
    raise refusal(found)


def refusal(complaints: Iterable[Complaint]) -> PolicyError:
    """Put all that is wrong into one error, in the order of the file."""
    found = sorted(dict.fromkeys(complaints))
    if len(found) == 1:
        return PolicyError(f"{found[0].place}: {found[0].message}", found[0].hint)
    lines = [sentences(f"{place}: {message}", hint) for place, message, hint in found[:_MOST_LINES]]
    rest = [f"... and {len(found) - _MOST_LINES} more problems"] if len(found) > _MOST_LINES else []
    return PolicyError([*lines, *rest])
