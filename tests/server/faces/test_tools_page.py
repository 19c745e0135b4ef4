"""What the page about tools shows is what they are answered: its questions are asked, and it names every path."""

from pathlib import Path

from server.gates import asking
from server.test_gate_page import FENCE, asked_by_curl

from canaryjudge.integrations.writers import FLAGGER_HOOKS
from canaryjudge.server import faces
from canaryjudge.server.policies import PolicyFolder

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/gate-tools.md").read_text(encoding="utf-8")


def test_what_is_asked_there_is_answered_so(tmp_path):
    answers = []
    with asking(tmp_path, folder=PolicyFolder(str(ROOT / "docs/examples/gate/policies"))) as asked:
        for language, text in FENCE.findall(PAGE):
            if language == "sh":
                method, path, headers, body = asked_by_curl(text)
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                answers.append(asked(method, path, headers=form | headers, content=body))
            else:
                assert f"{answers[-1].status_code} {answers[-1].text}".startswith(text.strip()), answers[
                    -1
                ].text
    assert len(answers) == 9


def test_it_names_every_path_and_hook():
    for path in faces.describe():
        short = path.partition("{")[0].rstrip("/")
        assert short in PAGE, path
    for hook in FLAGGER_HOOKS:
        assert f"`{hook}`" in PAGE
