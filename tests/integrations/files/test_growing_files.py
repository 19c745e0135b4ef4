"""A file that something else writes: whole lines, each once, whatever becomes of the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.errors import DataError
from canaryjudge.integrations.files.growing_files import GrowingFile

HEAD = b"metric,value\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new.csv"


def taken(file):
    lines = file.read()
    if lines is None:
        return None
    file.accept(lines)
    return lines.getvalue()


def test_each_line_comes_once_below_the_header(path):
    file = GrowingFile(path, header=True)
    path.write_bytes(HEAD + b"a,1\n")
    assert taken(file) == HEAD + b"a,1\n"
    assert taken(file) is None
    path.write_bytes(HEAD + b"a,1\na,2\na,3\n")
    assert taken(file) == HEAD + b"a,2\na,3\n"


def test_without_a_header_only_what_is_new_comes(path):
    file = GrowingFile(path, header=False)
    path.write_bytes(b'{"a": 1}\n')
    assert taken(file) == b'{"a": 1}\n'
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    assert taken(file) == b'{"a": 2}\n'


def test_half_a_line_waits_for_its_other_half(path):
    file = GrowingFile(path, header=True)
    path.write_bytes(b"metric,va")
    assert taken(file) is None
    path.write_bytes(HEAD + b"a,1")
    assert taken(file) == HEAD
    path.write_bytes(HEAD + b"a,12\n")
    assert taken(file) == HEAD + b"a,12\n"


@pytest.mark.parametrize(
    "anew", [HEAD + b"b,1\n", HEAD + b"a,9\na,2\na,3\n", b"arm,metric,value\nx,a,1\nx,a,2\nx,a,3\n"]
)
def test_a_file_that_was_written_anew_is_read_from_its_beginning(path, anew):
    file = GrowingFile(path, header=True)
    path.write_bytes(HEAD + b"a,1\na,2\n")
    taken(file)
    path.write_bytes(anew)
    assert taken(file) == anew


def test_a_file_that_was_emptied_and_filled_again_goes_on(path):
    file = GrowingFile(path, header=True)
    path.write_bytes(HEAD + b"a,1\na,2\n")
    taken(file)
    path.write_bytes(b"")
    assert taken(file) is None
    path.write_bytes(HEAD + b"a,1\na,2\na,3\n")
    assert taken(file) == HEAD + b"a,3\n"


def test_what_was_not_accepted_comes_again(path):
    file = GrowingFile(path, header=True)
    path.write_bytes(HEAD + b"a,1\n")
    assert file.read().getvalue() == file.read().getvalue() == HEAD + b"a,1\n"
    file.accept(file.read())
    path.write_bytes(HEAD + b"a,1\na,2\n")
    assert file.read(whole=True).getvalue() == HEAD + b"a,1\na,2\n"


def test_blank_lines_before_the_header_are_no_header(path):
    file = GrowingFile(path, header=True)
    path.write_bytes(b"\r\n\n" + HEAD + b"a,1\n")
    taken(file)
    path.write_bytes(b"\r\n\n" + HEAD + b"a,1\na,2\n")
    assert taken(file).split() == (HEAD + b"a,2\n").split()


def test_what_cannot_be_read_is_said(path):
    with pytest.raises(DataError, match="there is no such file"):
        GrowingFile(path, header=True).read()
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        GrowingFile(path, header=True).read()


@given(lines=st.lists(st.text("ab,1", max_size=2000), min_size=1, max_size=12), data=st.data())
def test_however_it_grows_the_parts_are_the_whole(tmp_path_factory, lines, data):
    path = tmp_path_factory.mktemp("grown") / "new.csv"
    content = HEAD + "".join(f"{line}\n" for line in lines).encode()
    file = GrowingFile(path, header=True)
    ends = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    parts = []
    for end in [*ends, len(content)]:
        path.write_bytes(content[:end])
        parts += [part] if (part := taken(file)) is not None else []
    assert parts[0][: len(HEAD)] == HEAD
    grown = b"".join(part[len(HEAD) :] for part in parts).split()
    assert grown == content[len(HEAD) :].split()
