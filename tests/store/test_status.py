from hypothesis import given
from hypothesis import strategies as st

from store.status import FINAL, UNFINISHED, Status, combined


@given(st.dictionaries(st.sampled_from(Status), st.integers(1, 9), min_size=1), st.booleans())
def test_many_statuses_add_up_to_one(counts: dict[Status, int], cancel_asked: bool) -> None:  # noqa: FBT001
    together = combined(counts, cancel_asked=cancel_asked)
    assert (together is Status.RUNNING) == (Status.RUNNING in counts)
    assert (together in FINAL) == FINAL.issuperset(counts)
    if together in FINAL:
        assert together in counts
        assert (together is Status.FAILED) == (set(counts) == {Status.FAILED})
        if together is Status.CANCELLED and Status.SUCCEEDED in counts:
            assert cancel_asked


def test_each_status_is_final_or_unfinished() -> None:
    assert set(Status) == FINAL | UNFINISHED
    assert not FINAL & UNFINISHED
