"""The gate as its OpenAPI description says it: whatever is sent, no 5xx, and answers as they are described."""

import pytest
import schemathesis
from hypothesis import given
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from server.gates import asking, minute

from canaryjudge.server import faces
from canaryjudge.server.openapi import description

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def likely():
    """The description, with names that the gate knows: much of what is made of it is taken."""
    found = description(faces.describe())
    schemas = found["components"]["schemas"]
    row = schemas["Points"]["oneOf"][0]["items"]
    row["additionalProperties"] = False
    row["properties"] |= {
        "metric": {"enum": ["latency", "errors"]},
        "arm": {"enum": ["baseline", "canary"]},
        "time": {"type": "integer", "minimum": 0, "maximum": 2_000_000_000},
    }
    known = {"enum": ["default"]}
    schemas["Begun"]["properties"] |= {
        "policy": known,
        "baseline": {"enum": ["baseline"]},
        "canary": {"enum": ["canary"]},
    }
    schemas["Asked"]["properties"] |= {
        "policy": known,
        "baseline": {"enum": ["baseline"]},
        "canary": {"enum": ["canary"]},
    }
    for path in found["paths"].values():
        for does in [path, *(each for each in path.values() if isinstance(each, dict))]:
            for parameter in does.get("parameters", []):
                if parameter["name"] in ("service", "revision"):
                    parameter["schema"] = {"enum": ["checkout", "cart"]}
                elif parameter["name"] in ("policy", "baseline", "canary"):
                    parameter["schema"] = {
                        "enum": ["default" if parameter["name"] == "policy" else parameter["name"]]
                    }
    return found


def _can_be_mangled(operation):
    """Tell whether anything about a question could be other than described; any form can be."""
    given = operation.path_parameters or operation.query or operation.body
    return given and all(body.media_type != "application/x-www-form-urlencoded" for body in operation.body)


KINDS = {
    "likely": (likely(), GenerationMode.POSITIVE),
    "described": (description(faces.describe()), GenerationMode.POSITIVE),
    "mangled": (description(faces.describe()), GenerationMode.NEGATIVE),
}
ASKED = [
    pytest.param(found.ok(), mode, id=f"{kind} {found.ok().label}")
    for kind, (document, mode) in KINDS.items()
    for found in schemathesis.openapi.from_dict(document).get_all_operations()
    if mode is not GenerationMode.NEGATIVE or _can_be_mangled(found.ok())
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    with asking(tmp_path_factory.mktemp("gate")) as client:
        yield client


@pytest.mark.hypothesis
@pytest.mark.parametrize(("operation", "mode"), ASKED)
def test_whatever_is_sent_is_answered_as_described(asked, operation, mode):
    @given(operation.as_strategy(generation_mode=mode))
    def hold(case):
        how = case.as_transport_kwargs(base_url="http://gate")
        if not isinstance(how.get("data", {}), dict):
            how["content"] = how.pop("data")
        cookies = "; ".join(f"{name}={value}" for name, value in how.pop("cookies").items())
        how["headers"] = {**how["headers"], **({"Cookie": cookies} if cookies else {})}
        answer = asked(how.pop("method"), how.pop("url"), **how)
        assert "nobody foresaw" not in answer.text
        speaks = operation.path.startswith(("/webhook", "/flagger"))  # for whom "not yet" is a status of 5xx
        case.validate_response(
            schemathesis.Response.from_any(answer),
            checks=[check for check in CHECKS if not (speaks and check is not_a_server_error)],
        )

    asked("POST", "/v1/releases/checkout/cart", json=minute(0))
    hold()
