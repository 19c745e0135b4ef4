"""The description names every route, and nothing else."""

from server.faces.calling import tools
from server.gates import gate

from canaryjudge.server import faces
from canaryjudge.server.guards import Bodies


def test_every_route_of_every_tool_is_described(tmp_path):
    routes = faces.routes(gate(tmp_path), Bodies(1, 1))
    of_routes = {
        (route.path.replace(":int", ""), method.lower())
        for route in routes
        for method in route.methods - {"HEAD"}
    }
    with tools(tmp_path) as asked:
        paths = asked("GET", "/openapi.json").json()["paths"]
    described = {
        (path, method) for path, item in faces.describe().items() for method in item if method != "parameters"
    }
    assert described == of_routes
    assert set(faces.describe()) <= set(paths)
    for path, item in faces.describe().items():
        declared = [one["name"] for one in item.get("parameters", ()) if one["in"] == "path"]
        assert all(f"{{{name}}}" in path for name in declared)
        assert path.count("{") == len(declared)
