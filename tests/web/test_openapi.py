"""The API against its own description: whatever Schemathesis sends, answers are those that are described, never 5xx."""

import time

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from served import serving
from where import share

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PROMISED = (
    "POST /predict", "POST /explain", "POST /variants", "POST /design", "GET /design/{id}", "DELETE /design/{id}",
    "POST /design/{id}/cancel", "GET /design/{id}/result", "GET /models", "GET /healthz", "GET /metrics",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("openapi"), "--no-page", "--model", "default", calls_per_minute=0, job_seconds=0.5,
        max_budget=300, max_letters=5_000, max_explain_letters=50_000, jobs_at_once=1, jobs_waiting=2,
    ) as running:  # fmt: skip
        yield running
        assert "failed" not in running.log
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def described(server):
    # Without its pytest plugin, which is bound to versions of pytest.
    schema = schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    return {f"{one.method.upper()} {one.path.removeprefix('/api/v1')}": one for one in operations}


def test_all_that_is_promised_is_described(described):
    assert set(described) == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_those_that_are_described(described, name, mode):
    ask(described[name], mode, 20 if takes_input(described[name]) else 2)


@pytest.mark.thorough
def test_answers_are_those_described_for_ten_minutes(described):
    end, calls = time.monotonic() + share(600), 0
    while time.monotonic() < end:
        for operation in filter(takes_input, described.values()):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                calls += ask(operation, mode, 20, derandomize=False)
    assert calls > share(10) * len(PROMISED)


def takes_input(operation):
    return bool(operation.body or operation.path_parameters or operation.query)


def ask(operation, mode, examples, *, derandomize=True):
    calls = 0
    if not (operation.body or operation.query):
        # Any text is a name of a job: there is nothing to be wrong with.
        mode = GenerationMode.POSITIVE

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, derandomize=derandomize, suppress_health_check=list(HealthCheck),
        database=None,
    )  # fmt: skip
    def call(case):
        nonlocal calls
        calls += 1
        case.call_and_validate(checks=CHECKS)

    call()
    return calls
