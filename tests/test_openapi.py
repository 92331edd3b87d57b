"""The API against its own description: whatever Schemathesis sends, answers are those that are described, never 5xx."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from served import serving

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("openapi"), "--no-page", "--model", "default", calls_per_minute=0, job_seconds=0.5,
        max_budget=300, max_letters=5_000, max_explain_letters=50_000, jobs_at_once=1, jobs_waiting=2,
    ) as running:  # fmt: skip
        yield running
        assert "failed" not in running.log
        assert "Traceback" not in running.log


@pytest.fixture
def described(server):
    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_answers_are_those_that_are_described(case):
    case.call_and_validate(checks=CHECKS)


def test_all_that_is_promised_is_described(server):
    paths = server.client.get("/api/openapi.json").json()["paths"]
    found = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, one in paths.items() for method in one}
    assert found == {
        "POST /predict", "POST /explain", "POST /variants", "POST /design", "GET /design/{id}", "DELETE /design/{id}",
        "GET /design/{id}/result", "GET /models", "GET /healthz", "GET /metrics",
    }  # fmt: skip
