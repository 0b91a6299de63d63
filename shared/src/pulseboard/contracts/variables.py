"""Variables of dashboards, and the values that viewers choose from."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pulseboard.contracts.base import Contract, PositiveInterval, UtcTime, start_before_end
from pulseboard.contracts.vocabulary import TagKey

MOST_VALUES = 500
"""Values that a variable may list or have chosen."""

VariableName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,49}$")]
VariableValue = Annotated[str, StringConstraints(max_length=1000)]


class VariableType(StrEnum):
    """Where a variable's values come from."""

    TAG = "tag"
    """The values of a metric's tag."""
    QUERY = "query"
    """A query such as `label_values(up{job="$job"}, instance)`."""
    LIST = "list"
    INTERVAL = "interval"
    TEXT = "text"
    """Typed by the viewer."""
    CONSTANT = "constant"
    DATA_SOURCE = "dataSource"
    """For boards of Grafana: there is one."""
    FILTERS = "filters"
    """Matchers that are added to each selector of every query."""


class VariableSort(StrEnum):
    """The order of a variable's values. Left as they come: `none`."""

    NONE = "none"
    TEXT = "text"
    TEXT_DESC = "textDesc"
    NUMBER = "number"
    NUMBER_DESC = "numberDesc"
    TEXT_IGNORE_CASE = "textIgnoreCase"
    TEXT_IGNORE_CASE_DESC = "textIgnoreCaseDesc"
    NATURAL = "natural"
    NATURAL_DESC = "naturalDesc"


class Variable(Contract):
    """A value that viewers choose, used in queries and titles as `$name`."""

    name: VariableName
    label: Annotated[str, StringConstraints(max_length=100)] | None = None
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    type: VariableType
    metric: Annotated[str, StringConstraints(max_length=200)] | None = None
    tag: TagKey | None = None
    query: Annotated[str, StringConstraints(max_length=5000)] | None = Field(
        default=None,
        description="`label_values(selector, label)`, `label_values(label)`, `label_names()`, "
        "`metrics(regex)` or `query_result(expression)`; it may refer to other variables.",
    )
    regex: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        default=None,
        description="Only values that match; its first group, or the groups named `text` and "
        "`value`, are what is shown and used.",
    )
    sort: VariableSort = VariableSort.NATURAL
    refresh: Literal["load", "range"] = Field(
        default="load", description="`range`: listed again when the time range changes."
    )
    hide: Literal["none", "label", "variable"] = "none"
    values: list[VariableValue] = Field(default_factory=list, max_length=MOST_VALUES)
    texts: dict[VariableValue, VariableValue] = Field(
        default_factory=dict,
        max_length=MOST_VALUES,
        description="What is shown for values of a list, where it is not the value itself.",
    )
    auto: bool = Field(
        default=False, description="An interval: offers one that follows the time range."
    )
    auto_count: int = Field(default=30, ge=1, le=500, description="Steps of `auto` in a range.")
    auto_min: PositiveInterval = Field(default="10s", description="The least step of `auto`.")
    multi: bool = False
    include_all: bool = False
    all_value: VariableValue | None = Field(
        default=None, description="What All stands for; left out: all values."
    )
    default: list[VariableValue] = Field(default_factory=list, max_length=MOST_VALUES)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.type is VariableType.TAG and not (self.metric and self.tag):
            raise ValueError("a variable by tag needs metric and tag")
        if self.type is VariableType.QUERY and not self.query:
            raise ValueError("a variable by query needs query")
        listed = (VariableType.LIST, VariableType.INTERVAL, VariableType.CONSTANT)
        if self.type in listed and not (self.values or self.auto):
            raise ValueError("a variable by list, interval or constant needs values")
        return self


class ChosenValues(Contract):
    """What is chosen of a variable."""

    name: VariableName
    values: list[VariableValue] = Field(default_factory=list, max_length=5000)
    all: bool = Field(default=False, description="All is chosen; `values` lists them.")
    all_value: VariableValue | None = Field(
        default=None, description="What All stands for, where it is not all values."
    )


class ResolveVariables(Contract):
    """Variables to be resolved, in one request for a whole chain."""

    variables: list[Variable] = Field(min_length=1, max_length=100)
    given: list[ChosenValues] = Field(
        default_factory=list,
        max_length=100,
        description="What is chosen of other variables that these refer to.",
    )
    wanted: list[ChosenValues] = Field(
        default_factory=list,
        max_length=100,
        description="What the viewer wants of these; values that don't exist are kept, as the "
        "viewer chose them.",
    )
    start: UtcTime
    end: UtcTime

    _start_before_end = model_validator(mode="after")(start_before_end)


class VariableOption(Contract):
    """A value to choose, and what is shown for it."""

    text: str
    value: str


class ResolvedVariable(Contract):
    """The values of a variable, what is chosen, or why they can't be listed."""

    name: str
    options: list[VariableOption]
    truncated: bool = Field(default=False, description="There are more than are listed.")
    chosen: ChosenValues
    error: str | None = None
