"""Names of every protocol: stored as sent, and what is not UTF-8 refused alone, by name."""

import json
from collections.abc import Callable

import cramjam
import pytest

from pulseboard.catalogue.selector import Matcher, parse
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import collectd, influx, json_points, otlp, remote_write
from pulseboard.ingest.decoders.datadog import json_series, protobuf
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support import otlp_messages as make
from tests.support.datadog_messages import payload, series
from tests.support.prometheus_messages import write_request

NOW = 1_800_000_000_000
LIMITS = BatchLimits(
    points=100, tags=10, errors=10, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
COMMON = {"now": NOW, "limits": LIMITS}
CHOICE = otlp.AttributeChoice(("host.name",))

Names = list[tuple[str, str, str]]


def by_remote_write(names: Names, swap: Callable[[bytes], bytes]) -> Batch:
    body = write_request(*(({"__name__": n, k: v}, [(NOW, 1.0)]) for n, k, v in names))
    plain = swap(bytes(cramjam.snappy.decompress_raw(body)))
    return remote_write.decode(
        bytes(cramjam.snappy.compress_raw(plain)),
        inflated=100_000,
        series_memo=SeriesMemo(10_000),
        **COMMON,  # type: ignore[arg-type]
    )


def _otlp_request(names: Names) -> object:
    return make.request(*(make.gauge(n, [make.number(NOW, 1.0, {k: v})]) for n, k, v in names))


def by_otlp(names: Names, swap: Callable[[bytes], bytes]) -> Batch:
    body = swap(make.as_protobuf(_otlp_request(names)))
    memo = SeriesMemo(10_000)
    return otlp.from_protobuf(body, choice=CHOICE, series_memo=memo, **COMMON)  # type: ignore[arg-type]


def by_otlp_json(names: Names, swap: Callable[[bytes], bytes]) -> Batch:
    body = swap(make.as_json(_otlp_request(names)))
    memo = SeriesMemo(10_000)
    return otlp.from_json_text(body, choice=CHOICE, series_memo=memo, **COMMON)  # type: ignore[arg-type]


def by_datadog_json(names: Names, swap: Callable[[bytes], bytes]) -> Batch:
    found = [{"metric": n, "tags": [f"{k}:{v}"], "points": [[NOW // 1000, 1]]} for n, k, v in names]
    body = swap(json.dumps({"series": found}, ensure_ascii=False).encode())
    return json_series.decode_json(body, series_memo=SeriesMemo(10_000), **COMMON)  # type: ignore[arg-type]


def by_datadog(names: Names, swap: Callable[[bytes], bytes]) -> Batch:
    at = NOW // 1000
    body = swap(payload(series(n, [(at, 1.0)], host="", tags=[f"{k}:{v}"]) for n, k, v in names))
    return protobuf.decode_series(body, series_memo=SeriesMemo(10_000), **COMMON)  # type: ignore[arg-type]


PROTOCOLS = [by_remote_write, by_otlp, by_otlp_json, by_datadog_json, by_datadog]


@pytest.mark.parametrize("send", PROTOCOLS)
def test_names_are_stored_as_sent_and_never_overwrite_each_other(
    send: Callable[[Names, Callable[[bytes], bytes]], Batch],
) -> None:
    names = [
        ("gr.web-01.load", "k8s-app", "x"),
        ("mem%", "a b", "line\nline"),
        ("mem#", "é", "\t"),
        ("mem_", "_", "x"),
        ("9m", "__x", "x"),
    ]
    batch = send(names, lambda body: body)
    assert batch.rejected == 0
    sent = [(key.name, json.loads(key.tags)) for key in batch.series]
    assert sent == [(name, {key: value}) for name, key, value in names]


@pytest.mark.parametrize("send", PROTOCOLS)
@pytest.mark.parametrize("place", ["name", "key", "value"])
def test_a_text_that_is_not_utf_8_takes_only_its_own_series(
    send: Callable[[Names, Callable[[bytes], bytes]], Batch], place: str
) -> None:
    bad = {"name": ("ZZZ", "k", "v"), "key": ("bad", "ZZZ", "v"), "value": ("bad", "k", "ZZZ")}
    names = [("first", "k", "v"), bad[place], ("last", "k", "v")]
    batch = send(names, lambda body: body.replace(b"ZZZ", b"\xff\xfeZ"))
    assert [key.name for key in batch.series] == ["first", "last"]
    assert batch.rejected == 1
    assert "UTF-8" in batch.issues[0].message
    if place != "name" and "json" not in send.__name__:
        assert "bad" in batch.issues[0].message
    batch.issues[0].model_dump_json()


@pytest.mark.parametrize("bad", [b"\xff", b"\\ud800"])
def test_our_json_refuses_by_name_what_is_not_utf_8(bad: bytes) -> None:
    points = b'{"points":[{"name":"a","value":1},{"name":"b","value":1,"tags":{"t":"%b"}}]}' % bad
    batch = json_points.parse(points, **COMMON)  # type: ignore[arg-type]
    assert [key.name for key in batch.series] == ["a"]
    [issue] = batch.issues
    assert (issue.index, issue.field, issue.message) == (1, "tags.t", "must be UTF-8")


def test_our_json_keeps_its_pattern() -> None:
    body = (
        b'[{"name":"a","value":1},{"name":"mem%","value":1},'
        b'{"name":"b","value":1,"tags":{"a-b":"x"}}]'
    )
    batch = json_points.parse(body, **COMMON)  # type: ignore[arg-type]
    assert [key.name for key in batch.series] == ["a"]
    assert [issue.field for issue in batch.issues] == ["name", "tags.a-b"]


def test_collectd_refuses_only_the_value_list_that_is_not_utf_8() -> None:
    one = {"host": "a", "plugin": "p", "type": "t", "time": NOW / 1000, "values": [1],
           "dsnames": ["value"], "dstypes": ["gauge"]}  # fmt: skip
    body = json.dumps([one, {**one, "host": "ZZZ"}]).encode().replace(b"ZZZ", b"\xff")
    batch = collectd.decode(body, series_memo=SeriesMemo(10_000), **COMMON)  # type: ignore[arg-type]
    assert (batch.accepted, batch.rejected) == (1, 1)
    assert "UTF-8" in batch.issues[0].message


def test_lines_of_influx_keep_their_names() -> None:
    memo = SeriesMemo(10_000)
    body = b"gr.web-01,k8s-app=x load=1\nmem%,a=1 v=1\nmem#,a=1 v=2\nx,a=\xff v=1\n"
    batch = influx.decode(body, precision=influx.Precision("ns"), series_memo=memo, **COMMON)  # type: ignore[arg-type]
    assert [key.name for key in batch.series] == ["gr.web-01_load", "mem%_v", "mem#_v"]
    assert batch.series[0].tags == b'{"k8s-app":"x"}'
    assert (batch.rejected, "UTF-8" in batch.issues[0].message) == (1, True)


@pytest.mark.parametrize(
    ("text", "name", "matchers"),
    [
        ('{"gr.web-01.load"}', "gr.web-01.load", ()),
        ('{"mem%","k8s-app"="x"}', "mem%", (Matcher("k8s-app", "=", "x"),)),
        ('{"k8s-app"=~"x.*", "mem#"}', "mem#", (Matcher("k8s-app", "=~", "x.*"),)),
        ('{`a"b\\n`}', 'a"b\\n', ()),
        ('{"a\\nb\\u00e9\\x41\\101\\U0001F600"}', "a\nbéAA😀", ()),
        ('{__name__="a-b", "é"!="\\n"}', "a-b", (Matcher("é", "!=", "\n"),)),
        ('cpu{"a.b"="c"}', "cpu", (Matcher("a.b", "=", "c"),)),
    ],
)
def test_selectors_quote_names_and_keys(
    text: str, name: str, matchers: tuple[Matcher, ...]
) -> None:
    selector = parse(text)
    assert (selector.name, selector.matchers) == (name, matchers)


@pytest.mark.parametrize("text", ['a{"b"}', '{"a","b"}', 'a{__name__="b"}', '{"a" "b"}', '{"a"=}'])
def test_selectors_with_two_names_or_half_a_matcher_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(text)
