"""What stands before the API: whom it lets in, how much it takes of whom, and in which form it refuses."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ribocast.web.limits import RefusedError, problem


@given(st.sampled_from([400, 413, 422, 429, 503]), st.text(st.characters(), max_size=20) | st.just("\ud800"))
def test_a_problem_is_json_of_one_form_whatever_it_quotes(status, quoted):
    rows = [{"row": row, "id": None, "column": "seq", "value": quoted, "reason": "why"} for row in range(1, 151)]
    answer = problem(RefusedError(status, f"no {quoted}", 7, "seq", rows))
    told = json.loads(answer.body.decode())
    assert told["status"] == answer.status == status
    assert (told["field"], len(told["errors"]), told["errors_total"]) == ("seq", 100, 150)
    assert told["title"]
    assert told["detail"].startswith("no")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers["retry-after"], int(answer.headers["content-length"])) == ("7", len(answer.body))
    assert "errors" not in json.loads(problem(RefusedError(status, "no")).body)
