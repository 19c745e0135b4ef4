"""Documents that something went wrong with: examples from the docs, changed here and there."""

import json
import re
from copy import deepcopy
from pathlib import Path

from hypothesis import strategies as st
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
"""What a terminal or a reader would act on: control and bidirectional characters."""
TOKENS = [
    *(
        "NaN",
        "Infinity",
        "-1",
        "1e400",
        "1e-310",
        "9" * 400,
        "null",
        "true",
        "''",
        "{",
        "[" * 40,
        "}",
        '"',
        ",",
        ":",
        "- ",
        "&a *a",
        "!!python/object:os.system",
    ),
    *(
        "\x00",
        "\x1b[31m",
        "\x9b2J",
        "\u202e",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\r\n",
        "\t",
        " ",
        "é",
        "日本",
        "$(id)",
        "${selector}",
        '"} or up{x="',
        "../../etc/passwd",
    ),
]
CELLS = [
    *(
        None,
        True,
        0,
        -1,
        1,
        10**30,
        2**53 + 1,
        -(2**63),
        0.1,
        1e308,
        -1e-310,
        float("inf"),
        float("nan"),
        "",
        " ",
        "NaN",
        "1e5",
        "10%",
        "5ms",
        "-3",
        "p99",
    ),
    *(
        "\x1b[31mred",
        "\u202etxt",
        "x" * 10_000,
        "m",
        "baseline",
        "canary",
        "2026-01-01T00:00:00Z",
        1.7e9,
        [],
        {},
        [[]],
        {"a": {}},
        [1, "a"],
        {"rule": "slo"},
    ),
]


def bytes_of(source):
    """An example as bytes, cut, doubled and overwritten in a few places."""
    return st.lists(_change(len(source)), max_size=4).map(lambda changes: _changed(source, changes))


def _change(size):
    place = st.integers(0, size)
    return st.tuples(
        place,
        st.integers(0, 200),
        st.sampled_from(TOKENS) | st.text(max_size=4),
        st.sampled_from(["cut", "double", "over", "in", "end"]),
    )


def _changed(source, changes):
    for at, length, token, how in changes:
        text = token.encode("utf-8", "surrogatepass")
        part = source[at : at + length]
        source = {
            "cut": source[:at] + source[at + length :],
            "double": source[:at] + part + part + source[at + length :],
            "over": source[:at] + text + source[at + len(text) :],
            "in": source[:at] + text + source[at:],
            "end": source[:at],
        }[how]
    return source


@st.composite
def trees_of(draw, tree, most=3):
    """A document in which some nodes are something else, stand twice or are gone."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["other", "gone", "beside", "swapped"]))
        if how == "gone":
            del holder[key]
        elif how == "beside" and isinstance(holder, dict):
            holder[draw(st.sampled_from([*map(str, TOKENS), f"{key} ", str(key).upper()]))] = holder[key]
        elif how == "swapped":
            other, place = draw(st.sampled_from(places))
            holder[key] = json.loads(json.dumps(other[place]))
        else:
            holder[key] = deepcopy(
                draw(st.sampled_from(CELLS))
            )  # a list that is changed next time must not be the same
    return tree


def _places(tree):
    for key, value in list(
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else []
    ):
        yield tree, key
        yield from _places(value)


def yaml_tree(path):
    """The first document of an example."""
    return json.loads(json.dumps(next(iter(YAML(typ="safe").load_all(path.read_text())))))
