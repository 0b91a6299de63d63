"""Evaluating expressions: every function and operator on a few samples, and on buckets."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.core.exceptions import InvalidRequest, Overloaded
from pulseboard.promql import Buckets, SeriesSamples, SeriesValues, evaluate, functions, parse
from pulseboard.promql.ast import Need, Read
from pulseboard.promql.budget import SHARED, Budget
from pulseboard.promql.reads import selectors
from pulseboard.promql.series import StoredSeries

T0 = 1_700_000_000.0
NAN, INF = math.nan, math.inf


def series(labels: str, text: str, stale_markers: tuple[float, ...] = ()) -> SeriesSamples:
    """`name k=v …` and one value a minute, five seconds before it; `_` is a missing one."""
    name, *pairs = labels.split()
    points = [
        (T0 + 60 * index - 5, float(value))
        for index, value in enumerate(text.split())
        if value != "_"
    ]
    return SeriesSamples(
        {"__name__": name, **dict(pair.split("=") for pair in pairs)},
        np.array([time for time, _ in points]),
        np.array([value for _, value in points]),
        tuple(T0 + each for each in stale_markers),
    )


STORED = [
    series("up host=a", "1 1 1"),
    series("up host=b", "0 _ 1"),
    series("cpu host=a zone=x", "10 20 30"),
    series("cpu host=b zone=x", "40 50 60"),
    series("cpu host=c zone=y", "5 _ nan"),
    series("total host=a", "0 60 120 30 90"),
    series("odd host=a", "-1.5 2.5 inf"),
    series("left host=a", "1 1 1"),
    series("left host=b", "2 2 2"),
    series("pair host=a side=l", "1 2 3"),
    series("pair host=a side=r", "3 4 5"),
    series("h_bucket le=0.5", "10 10 0"),
    series("h_bucket le=1", "30 20 0"),
    series("h_bucket le=+Inf", "40 20 0"),
]


def chosen(read: Read, stored: list[SeriesSamples]) -> list[SeriesSamples]:
    """What the database would return for a read."""
    return [
        each
        for each in stored
        if (read.name is None or each.labels["__name__"] == read.name)
        and all(matcher.accepts(each.labels) for matcher in read.matchers)
    ]


def lines(
    text: str, stored: list[SeriesSamples] | None = None, steps: int = 3
) -> list[SeriesValues]:
    expr = parse(text)
    data = {read: chosen(read, STORED if stored is None else stored) for read in selectors(expr)}
    return evaluate(
        expr, times=T0 + 60.0 * np.arange(steps, dtype=np.float64), data=data, lookback_delta=60
    )


def values(text: str, stored: list[SeriesSamples] | None = None) -> dict[str, list[float | None]]:
    """Values by labels as text; None where there is no sample."""
    return {
        " ".join(f"{key}={value}" for key, value in sorted(line.labels.items())): [
            float(value) if there else None
            for value, there in zip(line.values, line.present, strict=True)
        ]
        for line in lines(text, stored)
    }


def same(found: dict[str, list[float | None]], wanted: dict[str, list[float | None]]) -> None:
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        for got, want in zip(found[key], values, strict=True):
            if got is None or want is None:
                assert (key, got) == (key, want)
            else:
                assert got == pytest.approx(want, nan_ok=True), (key, found[key])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("up", {"__name__=up host=a": [1, 1, 1], "__name__=up host=b": [0, None, 1]}),
        ('up{host!="a"}', {"__name__=up host=b": [0, None, 1]}),
        ("up offset 1m", {
            "__name__=up host=a": [None, 1, 1], "__name__=up host=b": [None, 0, None],
        }),
        ('-up{host="a"}', {"host=a": [-1, -1, -1]}),
        ("1 + 2 * 3", {"": [7, 7, 7]}),
        ("7 % -4", {"": [3, 3, 3]}),
        ("1 > bool 2", {"": [0, 0, 0]}),
        ("time()", {"": [T0, T0 + 60, T0 + 120]}),
        ("sum(cpu)", {"": [55, 70, NAN]}),
        ("sum by (zone) (cpu)", {"zone=x": [50, 70, 90], "zone=y": [5, None, NAN]}),
        ("sum without (host) (cpu)", {"zone=x": [50, 70, 90], "zone=y": [5, None, NAN]}),
        ("avg(cpu)", {"": [55 / 3, 35, NAN]}),
        ("min(cpu)", {"": [5, 20, 30]}),
        ("max(cpu)", {"": [40, 50, 60]}),
        ("count(cpu)", {"": [3, 2, 3]}),
        ('stddev(cpu{zone="x"})', {"": [15, 15, 15]}),
        ('quantile(0.5, cpu{zone="x"})', {"": [25, 35, 45]}),
        ("quantile(0, cpu)", {"": [5, 20, NAN]}),
        ("quantile(-1, cpu)", {"": [-INF, -INF, -INF]}),
        ("quantile(2, cpu)", {"": [INF, INF, INF]}),
        ("quantile(NaN, cpu)", {"": [NAN, NAN, NAN]}),
        ("topk(1, cpu)", {"__name__=cpu host=b zone=x": [40, 50, 60]}),
        ("bottomk(1, cpu)", {
            "__name__=cpu host=a zone=x": [None, 20, 30],
            "__name__=cpu host=c zone=y": [5, None, None],
        }),
        ("topk by (zone) (1, cpu)", {
            "__name__=cpu host=b zone=x": [40, 50, 60],
            "__name__=cpu host=c zone=y": [5, None, NAN],
        }),
        ("topk(0, cpu)", {}),
        ("cpu > 45", {"__name__=cpu host=b zone=x": [None, 50, 60]}),
        ("45 < cpu", {"__name__=cpu host=b zone=x": [None, 50, 60]}),
        ('cpu{zone="x"} > bool 45', {"host=a zone=x": [0, 0, 0], "host=b zone=x": [0, 1, 1]}),
        ('cpu{host="a"} / 0', {"host=a zone=x": [INF, INF, INF]}),
        ("left * on(host) group_right() cpu", {
            "host=a zone=x": [10, 20, 30], "host=b zone=x": [80, 100, 120],
        }),
        ("cpu + on(host) left", {"host=a": [11, 21, 31], "host=b": [42, 52, 62]}),
        ("cpu > on(host) left", {"host=a": [10, 20, 30], "host=b": [40, 50, 60]}),
        ("cpu > ignoring(zone) left", {
            "__name__=cpu host=a": [10, 20, 30], "__name__=cpu host=b": [40, 50, 60],
        }),
        ("left * on(host) group_left(zone) cpu", {
            "host=a zone=x": [10, 20, 30], "host=b zone=x": [80, 100, 120],
        }),
        ("left and on(host) up == 1", {
            "__name__=left host=a": [1, 1, 1], "__name__=left host=b": [None, None, 2],
        }),
        ("left unless on(host) up", {"__name__=left host=b": [None, 2, None]}),
        ("up or left", {
            "__name__=up host=a": [1, 1, 1], "__name__=up host=b": [0, None, 1],
            "__name__=left host=b": [None, 2, None],
        }),
        ("abs(odd)", {"host=a": [1.5, 2.5, INF]}),
        ("ceil(odd)", {"host=a": [-1, 3, INF]}),
        ("floor(odd)", {"host=a": [-2, 2, INF]}),
        ("round(odd)", {"host=a": [-1, 3, INF]}),
        ("round(odd, 2)", {"host=a": [-2, 2, INF]}),
        ("clamp(odd, 0, 2)", {"host=a": [0, 2, 2]}),
        ("clamp(odd, 2, 0)", {}),
        ("clamp_min(odd, 0)", {"host=a": [0, 2.5, INF]}),
        ("clamp_max(odd, 0)", {"host=a": [-1.5, 0, 0]}),
        ("ln(odd)", {"host=a": [NAN, math.log(2.5), INF]}),
        ("log2(odd)", {"host=a": [NAN, math.log2(2.5), INF]}),
        ("log10(odd)", {"host=a": [NAN, math.log10(2.5), INF]}),
        ("exp(odd)", {"host=a": [math.exp(-1.5), math.exp(2.5), INF]}),
        ("sqrt(odd)", {"host=a": [NAN, math.sqrt(2.5), INF]}),
        ("absent(up)", {}),
        ('absent(up{host="b"})', {"host=b": [None, 1, None]}),
        ('absent(nothing{host="a", zone=~"x|y"})', {"host=a": [1, 1, 1]}),
        ("absent(sum(nothing))", {"": [1, 1, 1]}),
        ('absent_over_time(up{host="b"}[1m])', {"host=b": [None, 1, None]}),
        ("scalar(up)", {"": [NAN, 1, NAN]}),
        ("vector(3)", {"": [3, 3, 3]}),
        ("histogram_quantile(0.5, h_bucket)", {"": [0.75, 0.5, NAN]}),
        ("histogram_quantile(0.9, h_bucket)", {"": [1, 0.9, NAN]}),
        ("histogram_quantile(2, h_bucket)", {"": [INF, INF, INF]}),
        ('histogram_quantile(0.5, h_bucket{le!="+Inf"})', {"": [NAN, NAN, NAN]}),
        ('label_replace(left, "pod", "p-$1", "host", "(.*)")', {
            "__name__=left host=a pod=p-a": [1, 1, 1], "__name__=left host=b pod=p-b": [2, 2, 2],
        }),
        ('label_replace(left{host="a"}, "host", "$9", "host", ".*")', {"__name__=left": [1, 1, 1]}),
        ('label_replace(left{host="a"}, "h", "${x}$$", "host", "(?P<x>a)")', {
            "__name__=left h=a$ host=a": [1, 1, 1],
        }),
        ('label_replace(left{host="a"}, "k8s-app/é", "$1", "host", "(.*)")', {
            "__name__=left host=a k8s-app/é=a": [1, 1, 1],
        }),
        ('label_join(left{host="a"}, "a.b-c", "-", "host", "host")', {
            "__name__=left a.b-c=a-a host=a": [1, 1, 1],
        }),
        ('avg_over_time(cpu{host="a"}[2m])', {"host=a zone=x": [10, 15, 25]}),
        ('min_over_time(cpu{host="a"}[2m])', {"host=a zone=x": [10, 10, 20]}),
        ('max_over_time(cpu{host="c"}[5m])', {"host=c zone=y": [5, 5, 5]}),
        ('sum_over_time(cpu{host="a"}[2m])', {"host=a zone=x": [10, 30, 50]}),
        ('count_over_time(up{host="b"}[2m])', {"host=b": [1, 1, 1]}),
        ('last_over_time(up{host="b"}[2m])', {"__name__=up host=b": [0, 0, 1]}),
        ('present_over_time(up{host="b"}[1m])', {"host=b": [1, None, 1]}),
        ('stddev_over_time(cpu{host="a"}[2m])', {"host=a zone=x": [0, 5, 5]}),
        ('quantile_over_time(0.5, cpu{host="a"}[3m])', {"host=a zone=x": [10, 15, 20]}),
        ("delta(total[2m])", {"host=a": [None, 120, 120]}),
        ("irate(total[2m])", {"host=a": [None, 1, 1]}),
        ("deriv(total[5m])", {"host=a": [None, 1, 1]}),
    ],
)  # fmt: skip
def test_each_function_and_operator(text: str, wanted: dict[str, list[float | None]]) -> None:
    same(values(text), wanted)


def test_a_rate_is_extrapolated_to_the_window_but_not_below_zero() -> None:
    steps = lines("increase(total[3m])", steps=5)[0]
    # 0, 60, 120 cover (55 s … 175 s]; a counter that starts at 0 can't have grown before.
    assert steps.values[2] == pytest.approx(120 * (120 + 5) / 120)
    # 60, 120, then a reset to 30: grown by 60 + 30; no sample is due outside.
    assert steps.values[3] == pytest.approx(90 * (120 + 55 + 5) / 120)


def test_a_stale_marker_ends_a_series_until_its_next_sample() -> None:
    stored = [series("up host=a", "1 1 _ _ 1", stale_markers=(70,))]
    (line,) = evaluate(
        parse("up"),
        times=T0 + 30.0 * np.arange(9, dtype=np.float64),
        data={selectors(parse("up"))[0]: stored},
        lookback_delta=300,
    )
    assert line.present.tolist() == [True, True, True, *[False] * 5, True]


def test_windows_are_open_on_the_left() -> None:
    stored = [SeriesSamples({"__name__": "x"}, T0 + np.array([0.0, 60, 120]), np.ones(3))]
    assert values("count_over_time(x[1m])", stored) == {"": [1, 1, 1]}
    assert values("x", stored) == {"__name__=x": [1, 1, 1]}
    assert values("count_over_time(x[61s])", stored) == {"": [1, 2, 2]}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("left + on() up", 5),
        ("left * on(host) pair", 5),
        ("pair * on(host) left", 5),
        ("pair * on(host) group_left() pair", 5),
        ('rate({__name__=~"up|left"}[5m])', 0),
        ('label_replace(left, "host", "same", "", "")', 0),
    ],
)
def test_series_that_can_not_be_distinguished_are_refused(text: str, position: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        lines(text)
    assert caught.value.details is not None
    assert caught.value.details[0].position == position
    assert caught.value.details[0].hint


def test_grouped_matches_allow_what_one_to_one_refuses() -> None:
    assert values("pair * on(host) group_left() left") == {
        "host=a side=l": [1, 2, 3],
        "host=a side=r": [3, 4, 5],
    }


def test_topk_lists_the_largest_first() -> None:
    assert [line.labels["host"] for line in lines('topk(2, cpu{zone="x"})')] == ["b", "a"]
    assert [line.labels["host"] for line in lines('bottomk(2, cpu{zone="x"})')] == ["a", "b"]


def test_no_data_is_no_lines() -> None:
    for text in ("nothing", "rate(nothing[5m])", "sum(nothing)", "nothing + up", "-nothing"):
        assert values(text) == {}
    assert values("scalar(nothing)") == {"": [pytest.approx(NAN, nan_ok=True)] * 3}


def bucketed(stored: SeriesSamples, width: float) -> Buckets:
    """What the database gives for these samples in buckets (end - width, end]."""
    numbers = np.ceil((stored.times - T0) / width)
    parts = [stored.values[numbers == each] for each in np.unique(numbers)]
    times = [stored.times[numbers == each] for each in np.unique(numbers)]

    def column(function: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        assert callable(function)
        return np.array([function(part) for part in parts], dtype=np.float64)

    return Buckets(
        stored.labels,
        bucket_ends=T0 + np.unique(numbers) * width,
        step=width,
        count=column(len),
        sum=column(np.sum),
        mean=column(np.mean),
        min=column(np.min),
        max=column(np.max),
        first=column(lambda part: part[0]),
        last=column(lambda part: part[-1]),
        first_time=np.array([time[0] for time in times]),
        last_time=np.array([time[-1] for time in times]),
        increase_by_resets=column(lambda part: part[:-1][part[1:] < part[:-1]].sum()),
        resets=column(lambda part: (part[1:] < part[:-1]).sum()),
        changes=column(lambda part: (part[1:] != part[:-1]).sum()),
        squared_deviations=column(lambda part: ((part - part.mean()) ** 2).sum()),
        stale_markers=stored.stale_markers,
    )


def test_a_mean_is_finite_where_its_sum_overflows() -> None:
    large = "1.7976931348623157e308"
    (mean,) = values("avg_over_time(m[3m])", [series("m", f"{large} {large} {large}")]).values()
    assert mean[2] == float(large)
    (mean,) = values("avg_over_time(m[2m])", [series("m", f"{large} 1e308 {large}")]).values()
    assert mean[1] == pytest.approx(float(large) / 2 + 5e307)
    (mean,) = values("avg_over_time(m[2m])", [series("m", f"{large} {large} inf")]).values()
    assert mean[1:] == [float(large), INF]


@pytest.mark.parametrize("count", [2, 3, 7, 11, 49, 100])
def test_a_mean_over_series_is_finite_where_their_sum_overflows(count: int) -> None:
    large = 1.7976931348623157e308
    equal = [series(f"m n={n}", repr(large)) for n in range(count)]
    (mean,) = values("avg(m)", equal).values()
    assert mean[0] == pytest.approx(large)
    (deviation,) = values("stddev(m)", equal).values()
    assert deviation[0] == 0
    # The sums of both signs overflow, in any order.
    both = [series(f"m n={n}", repr(large if n % 2 else -large)) for n in range(2 * count)]
    for order in (both, [*both[::2], *both[1::2]]):
        (mean,) = values("avg(m)", order).values()
        assert mean[0] == pytest.approx(0, abs=large * 1e-15)
    (mean,) = values("avg(m)", [*equal, series("m n=inf", "inf")]).values()
    assert mean[0] == INF


@st.composite
def samples(draw: st.DrawFn) -> list[SeriesSamples]:
    stored = []
    for number in range(draw(st.integers(1, 3))):
        offsets = draw(st.sets(st.integers(-300_000, 600_000), max_size=40))
        count = len(offsets)
        values = draw(st.lists(st.integers(0, 1000), min_size=count, max_size=count))
        stale_markers = draw(st.sets(st.integers(-300, 600), max_size=2))
        stored.append(
            SeriesSamples(
                {"__name__": "x", "number": str(number)},
                T0 + np.array(sorted(offsets), dtype=np.float64) / 1000,
                np.array(values, dtype=np.float64),
                tuple(T0 + marker + 0.5 for marker in stale_markers),
            )
        )
    return stored


PUSHED = [name for name, need in functions.WINDOW_NEEDS.items() if need is not Need.SAMPLES]


@given(
    stored=samples(),
    text=st.sampled_from(["x", "x offset 1m", *(f"{name}(x[WINDOW])" for name in PUSHED)]),
    width=st.sampled_from([10, 15, 30, 60]),
    steps=st.integers(1, 4),
    windows=st.integers(1, 8),
    irregular=st.booleans(),
)
def test_buckets_give_the_same_as_their_samples(
    stored: list[SeriesSamples], text: str, width: int, steps: int, windows: int, irregular: bool
) -> None:
    expr = parse(text.replace("WINDOW", f"{width * windows}s"))
    (read,) = selectors(expr)
    times = T0 + float(steps * width) * np.arange(600 // (steps * width) + 1, dtype=np.float64)
    if irregular:
        times = np.delete(times, 1)
    grid = math.gcd(width, int(read.offset)) or width
    buckets = [bucketed(each, grid) for each in stored]

    def run(data: list[StoredSeries]) -> dict[str, list[float | None]]:
        found = evaluate(
            expr, times=times, data={read: data}, lookback_delta=float(width * windows)
        )
        return {
            str(line.labels): [
                float(value) if there else None
                for value, there in zip(line.values, line.present, strict=True)
            ]
            for line in found
        }

    same(run([*buckets]), run([*stored]))


@pytest.mark.parametrize(
    "text",
    [
        "count_over_time(many[50s:1ms])",
        "count_over_time(many[50s:1ms] @ 1700000100)",
        "max_over_time(rate(many[1m])[50s:1ms])",
        "max_over_time(absent_over_time(many[1m])[50s:1ms])",
        "max_over_time(count(count_values('v', vector(time())))[3s:1ms])",
    ],
)
def test_what_is_too_much_is_refused_before_it_is_allocated(text: str) -> None:
    stored = [series(f"many n={n}", f"{n} {n + 0.25} {n + 0.5} {n + 0.75}") for n in range(100)]
    expr = parse(text)
    data = {read: chosen(read, stored) for read in selectors(expr)}
    budget = Budget(samples=10**6, values=100_000, label_bytes=10**6, seconds=60)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="values in memory at once"):
            evaluate(expr, times=np.array([T0 + 180]), data=data, budget=budget)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One array of the values alone has 40 MB or more.
    assert peak < 15_000_000


def test_all_evaluations_of_a_process_share_what_they_hold() -> None:
    expr = parse("max_over_time(vector(1)[1s:1ms])")
    times = np.array([T0])

    def budget() -> Budget:
        return Budget(
            samples=10**6, values=10**6, label_bytes=10**6, seconds=60, values_at_once=5000
        )

    with budget() as other:
        evaluate(expr, times=times, data={}, budget=budget())
        other.hold(3500)
        with pytest.raises(Overloaded, match="Too many large queries"):
            evaluate(expr, times=times, data={}, budget=budget())
    evaluate(expr, times=times, data={}, budget=budget())
    assert SHARED.held == 0


def test_the_labels_of_counted_values_are_counted() -> None:
    expr = parse("count_values('value', cpu)")
    data = {read: chosen(read, STORED) for read in selectors(expr)}
    budget = Budget(samples=100, values=1000, label_bytes=10, seconds=60)
    with pytest.raises(InvalidRequest, match="bytes of labels"):
        evaluate(expr, times=np.array([T0]), data=data, lookback_delta=60, budget=budget)


def test_a_group_of_thousands_of_digits_is_empty() -> None:
    text = f'label_replace(left, "to", "<${{{"9" * 5000}}}$0>", "host", ".*")'
    assert [line.labels["to"] for line in lines(text)] == ["<a>", "<b>"]
