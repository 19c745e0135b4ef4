"""Proposed changes put into the text of a policy, with its comments and order kept, and shown as a diff."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Iterable
from typing import Any

from canaryjudge.policy.document import read_document
from canaryjudge.reports import Proposal
from canaryjudge.texts import visible

__all__ = ["as_diff", "edited"]

_INDENTED_LIST = re.compile(r"^metrics:[^\n]*\n(?:\s*(?:#[^\n]*)?\n)*( *)-", re.MULTILINE)
_WIDEST = 10_000


def edited(text: str, proposals: Iterable[Proposal], name: str) -> str:
    r"""Put proposals into a policy.

    Examples
    --------
    >>> change = Proposal(
    ...     metric="cpu", field="min_points", old=None, new=30, reason="dependent_points", numbers={"autocorrelation": 0.8}
    ... )
    >>> print(edited("# ours\nmetrics:\n- name: cpu  # busy\n  direction: increase\n", [change], "policy.yaml"), end="")
    # ours
    metrics:
    - name: cpu  # busy
      direction: increase
      min_points: 30
    """
    read_document(text, name)  # complains in sentences, as every command does
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        document = json.loads(text.removeprefix("\ufeff"))
        _put(document, proposals)
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    from ruamel.yaml import YAML  # noqa: PLC0415 - only those who edit files pay for it

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDEST
    indented = _INDENTED_LIST.search(text)
    offset = len(indented[1]) if indented else 0
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    document = yaml.load(text.removeprefix("\ufeff"))
    _put(document, proposals, in_yaml=True)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def as_diff(before: str, after: str, name: str) -> str:
    r"""Show what changed, as `diff -u` does.

    Examples
    --------
    >>> print(as_diff("alpha: 1%\n", "alpha: 2%\n", "policy.yaml"), end="")
    --- policy.yaml
    +++ policy.yaml, proposed
    @@ -1 +1 @@
    -alpha: 1%
    +alpha: 2%
    """
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name}, proposed"
    )
    return "".join(
        visible(line if line.endswith("\n") else f"{line}\n", "\t\n").replace("\\u{d}\n", "\r\n")
        for line in lines
    )


def _put(document: Any, proposals: Iterable[Proposal], *, in_yaml: bool = False) -> None:
    for proposal in proposals:
        target = document if proposal.metric is None else _metric(document, proposal.metric)
        if proposal.new is None:
            target.pop(proposal.field, None)
        else:
            target[proposal.field] = _flowing(proposal.new) if in_yaml else proposal.new


def _metric(document: Any, name: str) -> Any:
    metrics = document.setdefault("metrics", [])
    for metric in metrics:
        if metric.get("name") == name:
            return metric
    metrics.append({"name": name})
    return metrics[-1]


def _flowing(value: Any) -> Any:
    """Write mappings and lists on one line, as policies have them."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq  # noqa: PLC0415 - as in edited

    if isinstance(value, dict):
        made = CommentedMap({key: _flowing(part) for key, part in value.items()})
        made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        row = CommentedSeq([_flowing(part) for part in value])
        row.fa.set_flow_style()
        return row
    return value
