"""The count of `make life`: what senders were promised, and for how long nothing responded."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from infra.local.load import METRIC, Availability, Load, missing


def test_a_sample_that_was_acknowledged_and_is_not_stored_is_missing() -> None:
    acknowledged = {"a": {1, 2, 3}, "b": {1}}
    assert missing(acknowledged, {"a": {1, 2, 3, 4}, "b": {1}}) == []
    assert missing(acknowledged, {"a": {1, 3}}) == [("a", 2), ("b", 1)]


def test_what_is_not_acknowledged_is_sent_again_and_counted_once_it_is() -> None:
    """A server that refuses two requests, takes half of one, and then all."""
    bodies: list[list[dict[str, object]]] = []
    enough = threading.Event()

    class Ingest(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            accepted = len(body) if len(bodies) > 3 else 0
            self.send_response(503 if len(bodies) < 3 else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"accepted": accepted}}).encode())
            if len(bodies) > 4:
                enough.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ingest)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    load = Load(url=f"http://127.0.0.1:{server.server_port}", key="k", interval=0.01)
    try:
        load.start(1)
        assert enough.wait(60)
    finally:
        load.stop()
        server.shutdown()
        thread.join()
        server.server_close()
    sent = [point["timestamp"] for point in bodies[3]]
    assert [point["timestamp"] for point in bodies[0]] == sent[:1]
    assert {point["name"] for point in bodies[3]} == {METRIC}
    assert len(sent) == 4
    assert set(sent) <= load.ledger.snapshot()["sender-1"]
    assert load.refused == 3
    assert load.reason.startswith("200")
    assert load.ledger.count == sum(len(body) for body in bodies[3:])


def test_time_without_a_response_is_added_up() -> None:
    responses = iter([True, False, False, True])
    done = threading.Event()

    def responds() -> bool:
        try:
            return next(responses)
        except StopIteration:
            done.set()
            return True

    up = Availability(responds, interval=0.01)
    with up.watched():
        assert done.wait(60)
    assert up.seconds_without > 0
    assert up.asked >= 4
    with up.watched():
        pass
    assert up.seconds_without == 0
