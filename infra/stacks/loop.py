"""The definition of the beat, in Amazon States Language with JSONata: ticks, ten seconds apart.

    Begin ─▶ First ─▶ Evaluate ─▶ Beside ─▶ More? ─▶ Evaluate … ─▶ Done
                                   ├ Notify ─▶ Acknowledge   (when something was claimed)
                                   └ Wait until the next mark

Ticks are scheduled at absolute times, the marks of ten seconds. EventBridge starts a run at some
second of each minute, a little earlier or later each time. A run takes the six marks after its
start, so that none is late. One that starts within two seconds after a mark takes that one too,
seven in all: else a mark between an early run and a late one would be nobody's. Of two runs of a
mark one writes. A long tick makes the next one late, but none is skipped. Notifying is limited to
less than ten seconds, so a slow receiver delays no tick: what is not acknowledged is sent again.
"""

from typing import Any

TICKS = 6
TICK_MS = 10_000
JITTER_MS = 2_000
"""How much earlier or later than a minute after the one before a run may start."""
_RETRY = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 1,
    "MaxAttempts": 1,
}
_ANY = "States.ALL"
_START = "$toMillis($states.context.Execution.StartTime)"


def definition(*, evaluate: str, notify: str, partition: str) -> dict[str, Any]:
    """The state machine for these functions (ARNs)."""
    invoke = f"arn:{partition}:states:::lambda:invoke"

    def call(function: str, payload: Any, seconds: int, **rest: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": invoke,
            "Arguments": {"FunctionName": function, "Payload": payload},
            "TimeoutSeconds": seconds,
            "Retry": [_RETRY],
            **rest,
        }

    sending = {
        "StartAt": "Claimed",
        "States": {
            "Claimed": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $count($claims) > 0 %}", "Next": "Notify"}],
                "Default": "Nothing",
            },
            "Nothing": {"Type": "Succeed"},
            "Notify": call(
                notify,
                {"claims": "{% $claims %}"},
                8,
                Output="{% $states.result.Payload %}",
                Catch=[{"ErrorEquals": [_ANY], "Next": "Nothing"}],
                Next="Acknowledge",
            ),
            "Acknowledge": call(
                evaluate,
                "{% $states.input %}",
                8,
                Catch=[{"ErrorEquals": [_ANY], "Next": "Nothing"}],
                End=True,
            ),
        },
    }
    waiting = {
        "StartAt": "Last",
        "States": {
            "Last": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $n >= $ticks %}", "Next": "Stop"}],
                "Default": "Wait",
            },
            "Stop": {"Type": "Succeed"},
            "Wait": {
                "Type": "Wait",
                "Timestamp": f"{{% $fromMillis($first + $n * {TICK_MS}) %}}",
                "End": True,
            },
        },
    }
    return {
        "Comment": "Alert rules, every ten seconds",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": 120,
        "StartAt": "Begin",
        "States": {
            "Begin": {
                "Type": "Pass",
                "Assign": {
                    "n": 0,
                    "claims": [],
                    "first": f"{{% $floor(({_START} + {TICK_MS - JITTER_MS}) / {TICK_MS})"
                    f" * {TICK_MS} %}}",
                    "ticks": f"{{% {_START} % {TICK_MS} < {JITTER_MS} ? {TICKS + 1} : {TICKS} %}}",
                },
                "Next": "First",
            },
            "First": {
                "Type": "Wait",
                "Timestamp": "{% $fromMillis($first) %}",
                "Next": "Evaluate",
            },
            "Evaluate": call(
                evaluate,
                {},
                20,
                Assign={
                    "n": "{% $n + 1 %}",
                    "claims": "{% [$states.result.Payload.claims] %}",
                },
                Catch=[
                    {
                        "ErrorEquals": [_ANY],
                        "Assign": {"n": "{% $n + 1 %}", "claims": []},
                        "Next": "Beside",
                    }
                ],
                Next="Beside",
            ),
            "Beside": {"Type": "Parallel", "Branches": [sending, waiting], "Next": "More"},
            "More": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $n < $ticks %}", "Next": "Evaluate"}],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
