"""Accepted findings of cdk-nag, each with a reason."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accept these findings on a construct and what is below it.

    A rule with several findings on one resource names each: `AwsSolutions-IAM5[Resource::*]`.
    """
    for rule in rules:
        Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
