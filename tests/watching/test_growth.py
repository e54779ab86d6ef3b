from eventbus.watching.growth import GROWN_S, GROWS_MOST_S, MANY, Growth


def grown(number: int, *, apart_s: float = 0.0) -> Growth:
    growth = Growth()
    for each in range(number):
        growth.count(100 + each * apart_s)
    return growth


def test_a_few_directories_are_no_growth() -> None:
    assert not grown(MANY - 1).goes_on(100)


def test_many_are_until_none_has_come_for_a_while() -> None:
    assert grown(MANY).goes_on(100)
    assert not grown(MANY).goes_on(100 + 2 * GROWN_S)


def test_many_that_come_slowly_are_none() -> None:
    assert not grown(3 * MANY, apart_s=2 * GROWN_S).goes_on(100 + 6 * MANY * GROWN_S)


def test_growth_does_not_go_on_for_ever() -> None:
    steps = int(GROWS_MOST_S / GROWN_S) * 4

    assert not grown(steps, apart_s=GROWN_S / 2).goes_on(100 + steps * GROWN_S / 2)
