"""Which local stack `make invoke` calls a function on."""

import socket
from pathlib import Path

from infra.local import invoke, state
from infra.local.state import StackState


def test_the_stack_that_runs_is_used_whichever_started_it(tmp_path: Path) -> None:
    (tmp_path / "deployed").mkdir()
    assert invoke.running(tmp_path) == StackState()
    with socket.socket() as listening, socket.socket() as closed:
        for each in (listening, closed):
            each.bind(("127.0.0.1", 0))
        listening.listen()
        up, deployed = (
            StackState(
                api_key=key, database_url=f"postgresql://postgres@127.0.0.1:{s.getsockname()[1]}/d"
            )
            for key, s in (("up", closed), ("deployed", listening))
        )
        state.save(tmp_path / "state.json", up)
        assert invoke.running(tmp_path) == up, "the only one"
        state.save(tmp_path / "deployed" / "state.json", deployed)
        assert invoke.running(tmp_path) == deployed, "the only one that runs"
