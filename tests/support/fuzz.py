"""Coverage-guided fuzzing of every decoder.

`make fuzz`, or `python -m tests.support.fuzz NAME [options]`. The options are libFuzzer's, for
example -max_total_time=60. A body that breaks a rule of `tests/support/decoders.py` is written to
a file `crash-…`; give that file as an argument to run the body again.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pulseboard.ingest"]):
    from tests.support.decoders import decode_checked, decoders


def main() -> None:
    """Fuzz the decoder that is named; libFuzzer ends the process."""
    known = decoders()
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        raise SystemExit(f"usage: python -m tests.support.fuzz {{{'|'.join(known)}}} [options]")
    decoder = known[sys.argv.pop(1)]

    def once(body: bytes) -> None:
        decode_checked(decoder, body)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(decoder.seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
