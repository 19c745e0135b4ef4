"""The description names every route of every tool and nothing else, and what they answer is as it says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from server.faces.calling import PLAIN, STAGED, tools
from server.gates import gate, policies

from canaryjudge.server import faces
from canaryjudge.server.app import app_of
from canaryjudge.server.guards import Bodies

CONFORMS = [content_type_conformance, response_schema_conformance, status_code_conformance]
DESCRIBED = [
    (path, method) for path, item in faces.describe().items() for method in item if method != "parameters"
]


def test_every_route_of_every_tool_is_described(tmp_path):
    routes = faces.routes(gate(tmp_path), Bodies(1, 1))
    of_routes = {
        (route.path.replace(":int", ""), method.lower())
        for route in routes
        for method in route.methods - {"HEAD"}
    }
    assert set(DESCRIBED) == of_routes
    with tools(tmp_path) as asked:
        assert set(faces.describe()) <= set(asked("GET", "/openapi.json").json()["paths"])
    for path, item in faces.describe().items():
        declared = [one["name"] for one in item.get("parameters", ()) if one["in"] == "path"]
        assert all(f"{{{name}}}" in path for name in declared)
        assert path.count("{") == len(declared)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    own = policies(folder / "policies", default=PLAIN, staged=STAGED)
    return schemathesis.openapi.from_asgi("/openapi.json", app_of(gate(folder, folder=own)))


@pytest.mark.parametrize(("path", "method"), DESCRIBED)
def test_answers_are_as_described(described, path, method):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(described[path][method.upper()].as_strategy())
    def asked(case):
        case.call_and_validate(checks=CONFORMS)

    asked()
