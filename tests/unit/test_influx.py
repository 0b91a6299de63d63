"""InfluxDB's line protocol, without a database."""

from json import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.influx import Precision, decode
from pulseboard.ingest.decoders.series_memo import SeriesMemo

NOW = 1_800_000_000_000
NS = NOW * 1_000_000
LIMITS = BatchLimits(
    points=100, tags=5, errors=100, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
WARM = SeriesMemo(1_000_000)


def batch_of(
    body: str | bytes, *, precision: str = "", limits: BatchLimits = LIMITS, warm: SeriesMemo = WARM
) -> Batch:
    raw = body if isinstance(body, bytes) else body.encode()
    return decode(raw, now=NOW, limits=limits, precision=Precision(precision), series_memo=warm)


def samples(batch: Batch) -> list[tuple[str, str, float, int]]:
    """Name, tags, value and seconds after NOW of each."""
    return [
        (key.name, key.tags.decode(), value, time - NOW)
        for key, value, time in zip(batch.series, batch.values, batch.times, strict=True)
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cpu usage=1.5", [("cpu_usage", "{}", 1.5, 0)]),
        ("temp value=21", [("temp_value", "{}", 21.0, 0)]),
        (f"cpu,host=a usage=1 {NS + 2_999_999}", [("cpu_usage", '{"host":"a"}', 1.0, 2)]),
        (
            "m,b=2,a=1 x=-1i,y=3u,z=1e3,w=.5,v=1.",
            [
                (f"m_{field}", '{"a":"1","b":"2"}', value, 0)
                for field, value in (("x", -1), ("y", 3), ("z", 1000), ("w", 0.5), ("v", 1))
            ],
        ),
        ("m a=t,b=false,c=TRUE", [("m_a", "{}", 1, 0), ("m_b", "{}", 0, 0), ("m_c", "{}", 1, 0)]),
        ('m,h=a s="x, y=\\"2\\" \\\\",v=2', [("m_v", '{"h":"a"}', 2, 0)]),
        ('m s="two\nlines",v=2\nn v=3', [("m_v", "{}", 2, 0), ("n_v", "{}", 3, 0)]),
        (r"my\ disk,pa\ th=C:\ x\,y\=z,q=a\b fr\,ee=5",
         [("my disk_fr,ee", r'{"pa th":"C: x,y=z","q":"a\\b"}', 5, 0)]),
        ("m,empty=,h=\u00fc v=1", [("m_v", '{"h":"\u00fc"}', 1, 0)]),
        ('m,h="quoted" v=1', [("m_v", r'{"h":"\"quoted\""}', 1, 0)]),
        (f"  m  v=1   {NS}  \r", [("m_v", "{}", 1, 0)]),
        ("# m v=1\n\n   # more\n \r\nm v=1\r\n", [("m_v", "{}", 1, 0)]),
        ("9m-x v=1", [("9m-x_v", "{}", 1, 0)]),
        ("m v=9223372036854775807i", [("m_v", "{}", 9.223372036854775807e18, 0)]),
        ("m v=18446744073709551615u", [("m_v", "{}", 1.8446744073709552e19, 0)]),
    ],
)  # fmt: skip
def test_lines_become_samples(line: str, expected: list[tuple[str, str, float, int]]) -> None:
    for _ in range(2):  # Not series_memo, and series_memo.
        batch = batch_of(line)
        assert (samples(batch), batch.rejected, batch.issues) == (expected, 0, [])


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("ns", NS), ("n", NS), ("", NS), ("us", NOW * 1000), ("u", NOW * 1000), ("ms", NOW),
     ("s", NOW // 1000), ("second", NOW // 1000), ("m", NOW // 60_000), ("h", NOW // 3_600_000)],
)  # fmt: skip
def test_precisions(precision: str, stamp: int) -> None:
    assert samples(batch_of(f"m v=1 {stamp}", precision=precision)) == [("m_v", "{}", 1, 0)]


def test_unknown_precision_is_named() -> None:
    with pytest.raises(InvalidRequest, match='precision "fortnight"'):
        batch_of("m v=1", precision="fortnight")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("m", "no field"),
        ("m,host=a", "no field"),
        ("m v", 'no field=value at "v"'),
        ("m v=", 'no field=value at "v="'),
        ("m =1", "no field=value"),
        (",a=b v=1", "measurement"),
        ("m,a v=1", 'the tag "a"'),
        ("m,=x v=1", 'the tag "=x"'),
        ("m,a=b=c v=1", 'the tag "a=b=c"'),
        ("m v=1_0", 'the value "1_0"'),
        ("m v=nan", 'the value "nan"'),
        ("m v=-inf", 'the value "-inf"'),
        ("m v=+1", 'the value "+1"'),
        ("m v=0x10", 'the value "0x10"'),
        ("m v=1e999", "too large"),
        ("m v=9223372036854775808i", "64 bits"),
        ("m v=-1u", "64 bits"),
        ("m v=1.5i", 'the value "1.5i"'),
        ('m v="open', "no field=value"),
        ('m v="x"y', 'goes on after a value with "y"'),
        ("m v=1 soon", 'timestamp "soon"'),
        ("m v=1 1.5", 'timestamp "1.5"'),
        (f"m v=1 {NOW}", f'"{NOW}" in ns, that is older'),
        (f"m v=1 {NS + 601 * 10**9}", "ahead"),
        (f"m v=1 {10**40}", "timestamp"),
        ("m,a=1,b=2,c=3,d=4,e=5,f=6 v=1", "6 tags"),
        ("m,a=" + "x" * 1025 + " v=1", "1025 characters"),
        ("m" * 200 + " v=1", "202 characters"),
        (b"m,a=\xff v=1", "UTF-8"),
        (b"\xff v=1", "UTF-8"),
    ],
)
def test_a_bad_line_is_refused_whole_by_number_and_others_are_stored(
    line: str | bytes, says: str
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    batch = batch_of(b'n s="a\nb",x=1\ngood v=1\n' + raw + b"\ngood v=2,w=3")
    assert [sample[0] for sample in samples(batch)] == ["n_x", "good_v", "good_v", "good_w"]
    assert batch.positions == [1, 3, 5, 5]
    assert (batch.rejected, batch.skipped) == (1, 1)
    [issue] = batch.issues
    assert issue.index == 4
    assert says in issue.message


def test_a_bad_field_refuses_its_line() -> None:
    batch = batch_of('m a=1,t="x",b=oops\nn v=1')
    assert (samples(batch), batch.skipped) == ([("n_v", "{}", 1, 0)], 0)


def test_too_much_is_too_large() -> None:
    with pytest.raises(PayloadTooLarge, match="metric_batch_size"):
        batch_of("m v=1\n" * 101)
    with pytest.raises(PayloadTooLarge):
        batch_of("m " + ",".join(f"f{n}=1" for n in range(101)))
    with pytest.raises(PayloadTooLarge):
        batch_of('m s="x"\n' * 101)
    assert batch_of("\n# x\n" * 10_000).accepted == 0


def test_the_series_memo_is_bounded() -> None:
    warm = SeriesMemo(20_000)
    for n in range(1000):
        batch_of(f"m,n={n} v=1", warm=warm)
    assert 0 < len(warm) <= 50


_words = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1,
                 max_size=8).filter(lambda text: not text.endswith("\\"))  # fmt: skip
_names = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)
_numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
_fields = st.dictionaries(_names, _numbers | st.booleans() | st.integers(-(2**50), 2**50) | _words,
                          min_size=1, max_size=4)  # fmt: skip


def _escape(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "f"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value}i" if isinstance(value, int) else repr(value)


@given(
    st.lists(
        st.tuples(
            _names,
            st.dictionaries(_names, _words, max_size=4),
            _fields,
            st.none() | st.integers(-1000, 1000),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_was_written_is_read(
    points: list[tuple[str, dict[str, str], dict[str, object], int | None]],
) -> None:
    lines, expected, texts = [], [], 0
    for name, tags, fields, offset in points:
        head = ",".join([name, *(f"{key}={_escape(value)}" for key, value in tags.items())])
        body = ",".join(f"{key}={_literal(value)}" for key, value in fields.items())
        lines.append(f"{head} {body}" + ("" if offset is None else f" {NS + offset * 10**6}"))
        for key, value in fields.items():
            if isinstance(value, str):
                texts += 1
            else:
                expected.append((f"{name}_{key}", tags, float(value), offset or 0))  # type: ignore[arg-type]
    batch = batch_of("\n".join(lines))
    assert (batch.rejected, batch.skipped) == (0, texts)
    read = [(name, loads(tags), value, time) for name, tags, value, time in samples(batch)]
    assert read == expected


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"m", b",", b"=", b" ", b'"', b"\\", b"\n", b"1", b"i", b"t", b"#", b"\r",
                         b"1800000000000000000", b"-", b".", b"\xff", b"\t"]),
        max_size=60,
    ).map(b"".join)
)  # fmt: skip
def test_any_bytes_are_decoded_or_refused_by_line(body: bytes) -> None:
    try:
        batch = batch_of(body)
    except PayloadTooLarge:
        return
    assert len(batch.series) == len(batch.times) == len(batch.values) == len(batch.positions)
    assert all(1 <= issue.index <= body.count(b"\n") + 1 for issue in batch.issues)
    assert batch.rejected == len(batch.issues)
    # Again, with every head known by its bytes, and one after another: the same.
    again = batch_of(body)
    assert (again.times, again.values, again.positions) == (
        batch.times,
        batch.values,
        batch.positions,
    )
    assert [key.identity for key in again.series] == [key.identity for key in batch.series]
