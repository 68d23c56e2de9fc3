"""The Pareto front, by its definition."""

from hypothesis import given
from hypothesis import strategies as st

from sprat.search.front import pareto_front

Item = tuple[float, float, float]  # quality, two costs
items = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), max_size=40)


def beats(one: Item, other: Item) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one[2] <= other[2] and one != other


def front_of(given_items: list[Item]) -> list[Item]:
    return pareto_front(given_items, lambda item: item[0], lambda item: item[1:])


@given(items)
def test_nothing_on_the_front_is_beaten_and_all_else_is(given_items: list[Item]) -> None:
    front = front_of(given_items)
    assert len(set(front)) == len(front)
    assert set(front) == {item for item in given_items if not any(beats(other, item) for other in given_items)}


@given(items)
def test_the_best_come_first(given_items: list[Item]) -> None:
    qualities = [item[0] for item in front_of(given_items)]
    assert qualities == sorted(qualities, reverse=True)


def test_of_equals_the_first_stays() -> None:
    first, second = ("a", 1.0, 2.0), ("b", 1.0, 2.0)
    assert pareto_front([first, second], lambda item: item[1], lambda item: item[2:]) == [first]
    assert pareto_front([], lambda item: 0.0, lambda item: ()) == []
