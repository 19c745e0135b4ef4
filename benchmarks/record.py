"""A record of what a commit answers, made and compared, so that a restructuring can prove that it changes nothing.

    python benchmarks/record.py make OUT [--only SECTION ...] [--corpus FOLDER] [--jobs N]
    python benchmarks/record.py compare OLD NEW [--show N] [--only SECTION ...]

``make`` asks the `canaryjudge` that is imported (``PYTHONPATH`` chooses the commit) by its public API and its command line, and
writes gzip JSON lines: a line a case, with its facts (metric, rule, field, value). ``compare`` prints what differs, and exits 1 where anything is not
the same: words, outcomes and reasons exactly, numbers to a relative 1e-9; what is absent, null or empty is the same. Fields may have been
renamed, and differences be named with their reason, in the two tables below.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["NAMED_DIFFERENCES", "RENAMED", "SECTIONS", "Named", "compare", "make"]

ROOT: Final = Path(__file__).resolve().parents[1]


class Named(NamedTuple):
    """A difference that is meant: patterns (``*`` for anything) of where it is and of what it was and is, as JSON, and why."""

    reason: str
    case: str = "*"
    metric: str = "*"
    rule: str = "*"
    field: str = "*"
    old: str = "*"
    new: str = "*"


RENAMED: Final[dict[tuple[str, str], str]] = {
    **{
        ("*", name): f"watch.{name}"
        for name in (
            "log_e_fail",
            "log_e_pass",
            "smallest_visible",
            "looks",
            "looks_planned",
            "decided_after",
            "decided_at",
        )
    },
    ("*", "replicas_baseline"): "replicas.baseline",
    ("*", "replicas_canary"): "replicas.canary",
    ("*", "replica_spread"): "replicas.spread",
    ("*", "replica_dispersion"): "replicas.dispersion",
    ("*", "noise_floor"): "noise_floor.spread",
    ("*", "noise_floor_df"): "noise_floor.df",
}
"""(rule, old field) -> new field; the rule is ``*`` where every one is meant. What a field holds goes with it."""

_GROUP: Final = "a group has no numbers of its own: those of the part that decided stand there"

NAMED_DIFFERENCES: Final[tuple[Named, ...]] = (
    Named(
        "findings are a discriminated union from schema version 2 on",
        field="schema_version",
        old="1",
        new="2",
    ),
    Named("the schema version stands in the words", old="*schema version 1*", new="*schema version 2*"),
    Named(_GROUP, rule="*any_of", new="null"),
    Named(_GROUP, rule="*all_of", new="null"),
    Named("a group says which part decided", field="deciding_part", old="null"),
    Named(
        "each rule of a group is told in its own unit: others were told as shares beside a tail",
        case="simulated/rules/*/a*_of/*",
        old="*share of observations above*",
    ),
    Named(
        "each rule of a group is told in its own unit: others were told as shares beside a tail",
        case="simulated/rules/*/a*_of/*",
        field="words.html",
    ),
    Named(
        "the smallest tolerance that passes is said of every rule that is far from decided, of tails as well",
        case="simulated/rules/*/tail*",
        field="words.*",
    ),
    Named("a frame has the columns of the findings in it, not of all findings there are", field="columns"),
    Named(
        "calibrate says that it reads TSV, as it does", case="examples/command/help calibrate", new="*TSV*"
    ),
)
"""Each a mended fault, or what was decided."""


def _sections() -> dict[str, Callable[[], Iterable[Any]]]:
    from recording import bundled, corpora, readers, refused, simulated, tools, watched  # noqa: PLC0415 - comparing asks nothing

    return {
        "examples": bundled.cases,
        "simulated": simulated.cases,
        "watched": watched.cases,
        "tools": tools.cases,
        "refused": refused.cases,
        "readers": readers.cases,
        **{f"dev-{corpus}": partial(corpora.cases, corpus) for corpus in corpora.CORPORA},
        "concurrent": corpora.concurrent,
    }


SECTIONS: Final = (
    "examples",
    "simulated",
    "watched",
    "tools",
    "refused",
    "readers",
    "dev-aa",
    "dev-ab",
    "dev-abinj",
    "dev-err",
    "dev-rawlat",
    "concurrent",
)
"""What a record is made of, each in a process of its own."""


def make(out: Path, sections: Iterable[str], corpus: Path, jobs: int) -> None:
    """Ask everything, and write the record.

    Parameters
    ----------
    out : Path
        The file.
    sections : iterable of str
        Which of `SECTIONS`.
    corpus : Path
        The folder with data, cases and examples of others.
    jobs : int
        Processes.
    """
    chosen = list(sections)
    os.environ |= {"COLUMNS": "120", "NO_COLOR": "1", "TZ": "UTC", "GITHUB_ACTIONS": ""}
    with tempfile.TemporaryDirectory() as folder:
        ask = partial(_asked, folder=Path(folder), corpus=corpus.resolve())
        with (
            ProcessPoolExecutor(max_workers=jobs, max_tasks_per_child=1) as pool,
            gzip.open(out, "wt") as file,
        ):
            for lines in pool.map(ask, chosen):
                file.writelines(lines)


def _asked(section: str, folder: Path, corpus: Path) -> list[str]:
    """Ask a section's cases, in a folder where all paths are short and the same."""
    from recording.facts import asked  # noqa: PLC0415 - as in _sections

    here = folder / section
    here.mkdir()
    (here / "examples").symlink_to(ROOT / "docs" / "examples")
    (here / "shared").symlink_to(corpus)
    os.chdir(here)
    began, lines = time.perf_counter(), []
    slowest = (0.0, "")
    for case in _sections()[section]():
        start = time.perf_counter()
        found = asked(case)
        slowest = max(slowest, (time.perf_counter() - start, case[0]))
        lines.append(json.dumps({"case": f"{section}/{case[0]}", "facts": found}, ensure_ascii=True) + "\n")
    seconds = time.perf_counter() - began
    print(
        f"{section}: {len(lines):,} cases in {seconds:.0f} s; the slowest, {slowest[1]}, took {slowest[0]:.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return lines


Key = tuple[str, str, str]


class Difference(NamedTuple):
    """A fact that is not the same."""

    kind: str
    case: str
    metric: str
    rule: str
    field: str
    old: Any
    new: Any


def compare(old: Path, new: Path, show: int, only: Iterable[str] = ()) -> int:
    """Print what differs between two records.

    Parameters
    ----------
    old, new : Path
        What `make` wrote.
    show : int
        How many differences of each kind and field are shown.
    only : iterable of str
        Sections; all of the new record's where none is given.

    Returns
    -------
    int
        How many differences nobody has named.
    """
    before, after = _read(old), _read(new)
    wanted = set(only) or {_section(case) for case in after}
    found: list[Difference] = []
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for case in sorted(before.keys() | after.keys()):
        section = _section(case)
        if section not in wanted:
            continue
        counts[section]["cases"] += 1
        differing = list(_differences(case, before.get(case), after.get(case), counts[section]))
        counts[section]["cases that differ"] += bool(differing)
        found += differing
    unnamed, named = [], Counter[str]()
    for each in found:
        reason = _reason(each)
        if reason is None:
            unnamed.append(each)
        else:
            named[reason] += 1
        counts[_section(each.case)]["unnamed" if reason is None else "named"] += 1
    _report(unnamed, named, counts, show)
    return len(unnamed)


def _read(path: Path) -> dict[str, dict[Key, Any]]:
    found: dict[str, dict[Key, Any]] = {}
    with gzip.open(path, "rt") as file:
        for line in file:
            case = json.loads(line)
            if case["case"] in found:
                raise ValueError(f"{path}: the case {case['case']} stands there twice")
            found[case["case"]] = {
                (metric, rule, field): value for metric, rule, field, value in case["facts"]
            }
    return found


def _section(case: str) -> str:
    return case.partition("/")[0]


def _renamed(key: Key) -> Key:
    metric, rule, field = key
    if not rule:  # a policy and other documents have fields of such names too
        return key
    base = re.sub(r"#\d+$", "", rule.rpartition("/")[2])
    for (of, name), other in RENAMED.items():
        if of in ("*", base) and (field == name or field.startswith(f"{name}.")):
            return metric, rule, other + field[len(name) :]
    return key


def _differences(
    case: str, old: dict[Key, Any] | None, new: dict[Key, Any] | None, counts: Counter[str]
) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference(
            "case only in the new record" if old is None else "case only in the old record",
            case,
            "",
            "",
            "",
            None,
            None,
        )
        return
    before = {_renamed(key): value for key, value in old.items()}
    for key in dict.fromkeys([*before, *new]):
        counts["facts"] += 1
        was, now = before.get(key), new.get(key)
        if not _same(was, now):
            yield Difference(_kind(key[2], was, now), case, *key, was, now)


def _is_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _same(was: Any, now: Any) -> bool:
    if _is_nothing(was) and _is_nothing(now):
        return True
    if isinstance(was, bool) or isinstance(now, bool):
        return was is now
    if isinstance(was, (int, float)) and isinstance(now, (int, float)):
        return was == now or math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(was, list) and isinstance(now, list):
        return len(was) == len(now) and all(map(_same, was, now))
    return bool(was == now)


def _kind(field: str, was: Any, now: Any) -> str:
    if field.endswith(("outcome", "reason", "action")):
        return "outcomes and reasons"
    if _is_nothing(now):
        return "only in the old record"
    if _is_nothing(was):
        return "only in the new record"
    if isinstance(was, list) and any(isinstance(each, str) for each in was):
        return "words"
    return "numbers" if isinstance(was, (int, float, list)) else "text"


def _reason(each: Difference) -> str | None:
    was, now = (json.dumps(value, ensure_ascii=False) for value in (each.old, each.new))
    for named in NAMED_DIFFERENCES:
        pairs = (
            (each.case, named.case),
            (each.metric, named.metric),
            (each.rule, named.rule),
            (each.field, named.field),
            (was, named.old),
            (now, named.new),
        )
        if all(pattern == "*" or fnmatchcase(value, pattern) for value, pattern in pairs):
            return named.reason
    return None


def _report(
    unnamed: list[Difference], named: Counter[str], counts: dict[str, Counter[str]], show: int
) -> None:
    heads = ("cases", "facts", "cases that differ", "named", "unnamed")
    print("".join(f"{head:>20}" for head in ("section", *heads)))
    for section, counted in counts.items():
        print(f"{section:>20}" + "".join(f"{counted[head]:>20,}" for head in heads))
    groups: dict[tuple[str, str, str], list[Difference]] = defaultdict(list)
    for each in unnamed:
        rule = re.sub(r"#\d+", "", each.rule)
        groups[each.kind, rule, re.sub(r"\d+", "N", each.field)].append(each)
    for (kind, rule, field), members in sorted(
        groups.items(), key=lambda item: (item[0][0] != "outcomes and reasons", item[0])
    ):
        print(f"\n{kind}: {rule + ': ' if rule else ''}{field or 'the whole case'}: {len(members):,}")
        for each in members[:show]:
            where = " | ".join(part for part in (each.case, each.metric, each.rule, each.field) if part)
            was, now = _shown(each.old, each.new)
            print(f"  {where}\n    - {was}\n    + {now}")
        if len(members) > show:
            print(f"  ... and {len(members) - show:,} more")
    if named:
        print("\nnamed differences")
        for reason, count in named.most_common():
            print(f"  {count:,}: {reason}")
    print(f"\n{len(unnamed):,} differences that nobody has named" if unnamed else "\nthe same")


def _shown(was: Any, now: Any) -> tuple[str, str]:
    """Write both values; of lists the first items that differ."""
    if isinstance(was, list) and isinstance(now, list):
        at = next(
            (index for index, pair in enumerate(zip(was, now, strict=False)) if not _same(*pair)),
            min(len(was), len(now)),
        )
        return tuple(
            f"[{at} of {len(each)}] "
            + (json.dumps(each[at], ensure_ascii=False)[:300] if at < len(each) else "(no more)")
            for each in (was, now)
        )  # type: ignore[return-value]
    first, second = (json.dumps(value, ensure_ascii=False)[:300] for value in (was, now))
    return first, second


def main() -> int:
    """Make or compare; 1 where two records are not the same, 2 where there is no corpus."""
    parser = argparse.ArgumentParser(description="A record of what a commit answers.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="ask everything, and write the record")
    making.add_argument("out", type=Path)
    making.add_argument(
        "--corpus", type=Path, default=ROOT.parent / "shared", help="data, cases and examples of others"
    )
    making.add_argument("--jobs", type=int, default=1, help="processes")
    comparing = commands.add_parser("compare", help="print what differs")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument("--show", type=int, default=3, help="differences shown of each field")
    for command in (making, comparing):
        command.add_argument(
            "--only", nargs="+", default=[], choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS)
        )
    options = parser.parse_args()
    if options.command == "compare":
        return int(compare(options.old, options.new, options.show, options.only) > 0)
    if not (options.corpus / "data").is_dir():
        print(f"{options.corpus}: there is no folder data", file=sys.stderr)
        return 2
    make(options.out, options.only or SECTIONS, options.corpus, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
