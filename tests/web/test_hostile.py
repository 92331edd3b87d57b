"""A short share of what `tests/hostile_requests.py` does for ten minutes by hand."""

from hostile_requests import run


def test_nothing_comes_of_hostile_requests(tmp_path):
    wrong, statuses = run(10, 1, 8, tmp_path)
    assert not wrong, "\n".join(wrong[:20])
    # Some of them were taken, and others refused for many reasons.
    assert statuses[200]
    assert len(statuses) > 5
