"""The definition of the beat, in Amazon States Language with JSONata: six ticks, ten seconds apart.

    Begin ─▶ Evaluate ─▶ Beside ─▶ More? ─▶ Evaluate … ─▶ Done
                          ├ Notify ─▶ Acknowledge   (when something was claimed)
                          └ Wait until the next mark

Ticks are scheduled at absolute times: the start, rounded down to ten seconds, and then every ten
seconds. A long tick makes the next one late, but none is skipped. Notifying is limited to less
than ten seconds, so a slow receiver delays no tick: what is not acknowledged is sent again.
"""

from typing import Any

TICKS = 6
TICK_MS = 10_000
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
                "Choices": [{"Condition": f"{{% $n >= {TICKS} %}}", "Next": "Stop"}],
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
        "TimeoutSeconds": 110,
        "StartAt": "Begin",
        "States": {
            "Begin": {
                "Type": "Pass",
                "Assign": {
                    "n": 0,
                    "claims": [],
                    "first": "{% $floor($toMillis($states.context.Execution.StartTime)"
                    f" / {TICK_MS}) * {TICK_MS} %}}",
                },
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
                "Choices": [{"Condition": f"{{% $n < {TICKS} %}}", "Next": "Evaluate"}],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
