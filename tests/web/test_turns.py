"""Work of many clients: served in turn, bounded, dropped when nobody waits for it, and freed when it is done."""

import asyncio
import gc
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import CancelledError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import StoppedError
from ribocast.model.stopping import check_stopped
from ribocast.web.jobs import Jobs
from ribocast.web.limits import RefusedError
from ribocast.web.turns import Pool, Turns, client_now


def serve_all(turns):
    served = []
    while (found := turns.first()) is not None:
        served.append(turns.take(found[0]))
    return served


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), unique_by=lambda one: one[1]))
def test_everybody_has_a_first_turn_before_anybody_has_a_second(asked):
    turns = Turns()
    for client, item in asked:
        turns.add(client, (client, item))
    places = {item: turns.place(item[0], item) for item in asked}
    assert len(turns) == len(asked)
    served = serve_all(turns)
    assert sorted(served) == sorted(asked)
    assert {item: at for at, item in enumerate(served, 1)} == places
    seen = Counter()
    for client, _ in served:
        waiting = Counter(one for one, _ in asked)
        assert all(seen[client] <= seen[other] or seen[other] == waiting[other] for other in waiting)
        seen[client] += 1
    for client in "abc":
        assert [item for item in served if item[0] == client] == [item for item in asked if item[0] == client]


class Gate:
    """Work that goes on until it is let go or stopped."""

    def __init__(self):
        self.begun, self.free, self.done = threading.Event(), threading.Event(), []

    def __call__(self):
        self.begun.set()
        while not self.free.wait(0.01):
            check_stopped()
        self.done.append(1)


def submit(pool, client, work):
    client_now.set(client)
    return pool.submit(work)


def test_one_client_leaves_a_thread_to_others():
    pool, gates = Pool("tests", at_once=2, waiting=10, each=10), [Gate() for _ in range(4)]
    for gate in gates[:3]:
        submit(pool, "greedy", gate)
    assert gates[0].begun.wait(5)
    submit(pool, "other", gates[3])
    assert gates[3].begun.wait(5)
    assert not gates[1].begun.is_set()
    for gate in gates:
        gate.free.set()
    assert pool.wait(5)
    assert all(gate.done for gate in gates)


def test_queues_are_bounded_for_each_and_for_all():
    pool, gate = Pool("tests", at_once=1, waiting=3, each=2), Gate()
    submit(pool, "a", gate)
    submit(pool, "a", gate)
    with pytest.raises(RefusedError, match="of your") as refused:
        submit(pool, "a", gate)
    assert (refused.value.status, refused.value.retry_after) == (429, 5)
    submit(pool, "b", gate)
    submit(pool, "b", gate)
    with pytest.raises(RefusedError, match="waiting"):
        submit(pool, "c", gate)
    gate.free.set()
    assert pool.wait(5)


def test_what_nobody_waits_for_is_not_done_and_what_runs_is_stopped():
    pool, first, second = Pool("tests", at_once=1, waiting=3, each=3), Gate(), Gate()

    async def give_up():
        tasks = [asyncio.create_task(pool.run(gate)) for gate in (first, second)]
        while not first.begun.is_set():
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.to_thread(pool.wait, 5)

    asyncio.run(give_up())
    assert not first.done
    assert not second.begun.is_set()


def test_closing_answers_everybody():
    pool, gate = Pool("tests", at_once=1, waiting=3, each=3), Gate()
    turns = [submit(pool, "a", gate) for _ in range(2)]
    assert gate.begun.wait(5)
    pool.close()
    for turn in turns:
        with pytest.raises((StoppedError, CancelledError)):
            turn.result.result(5)
    with pytest.raises(RefusedError) as refused:
        submit(pool, "a", gate)
    assert refused.value.status == 503


class Thing:
    """What a job was asked for, or gave."""


def jobs(**options):
    return Jobs(**{"at_once": 1, "waiting": 5, "each": 5, "seconds": 60, "keep_seconds": 60} | options)


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_for(job, state):
    wait_until(lambda: job.state == state)


def test_results_are_freed_when_their_time_has_come_although_nobody_asks():
    kept = jobs(keep_seconds=0.3)
    asked, given_back = Thing(), []

    def work(_, asked=asked):
        given_back.append(weakref.ref(result := Thing()))
        return result

    job, watched = kept.submit(work), weakref.ref(asked)
    id = job.id
    del asked, work
    wait_for(job, "done")
    assert 0 < kept.expires(job) <= 0.3
    del job
    wait_until(lambda: gc.collect() * 0 + (given_back[0]() is None and watched() is None))
    with pytest.raises(RefusedError, match="unknown job"):
        kept.get(id)


def test_a_forgotten_job_is_stopped_and_freed():
    kept, gate = jobs(), Gate()
    job = kept.submit(lambda _: gate())
    waiting = kept.submit(lambda _: gate())
    assert gate.begun.wait(5)
    assert (kept.place(job), kept.place(waiting)) == (None, 1)
    kept.forget(job.id)
    kept.forget(waiting.id)
    assert kept.wait(1)
    assert not gate.done
    assert (kept.count("running"), kept.count("waiting"), waiting.state) == (0, 0, "cancelled")
    with pytest.raises(RefusedError, match="unknown job"):
        kept.cancel(job.id)


def test_a_job_nobody_asks_about_is_cancelled():
    kept, gates = jobs(at_once=2, unasked_seconds=1), [Gate(), Gate()]
    watched, left, waiting = (kept.submit(lambda _, gate=gate: gate()) for gate in (*gates, Gate()))

    def is_left():
        kept.get(watched.id)
        return left.state == waiting.state == "cancelled"

    wait_until(is_left)
    assert left.remark == waiting.remark == "nobody asked about it for 1 s"
    assert (watched.state, gates[1].done) == ("running", [])
    kept.cancel(watched.id)
    wait_for(watched, "cancelled")


def test_results_of_whoever_keeps_most_go_first():
    kept = jobs(size_of=lambda size: size)

    def give(client, size):
        client_now.set(client)
        job = kept.submit(lambda _: size)
        wait_for(job, "done")
        return job.id

    small = give("b", 1_000)
    large = [give("a", 30_000_000) for _ in range(4)]

    def is_kept(id):
        try:
            return bool(kept.get(id))
        except RefusedError:
            return False

    wait_until(lambda: not is_kept(large[0]))
    assert is_kept(small)
    assert all(map(is_kept, large[1:]))


def test_a_job_that_never_looks_at_the_clock_is_ended(monkeypatch):
    monkeypatch.setattr("ribocast.web.jobs._LATE_SECONDS", 0.1)
    kept, gate = jobs(seconds=0.1), Gate()
    job = kept.submit(lambda _: gate())
    wait_for(job, "failed")
    assert "0.1 s" in job.error
