"""Dashboards and the panels on them."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from pulseboard.contracts.base import Contract, PositiveInterval, UtcTime
from pulseboard.contracts.vocabulary import Aggregation, QueryText, TagKey, Tags, Title

GRID_COLUMNS = 12

Color = Annotated[
    str,
    StringConstraints(pattern=r"^(#[0-9a-fA-F]{6}|[a-z][a-z0-9-]{0,30})$"),
    Field(description="`#rrggbb`, or a name of the palette such as `blue`."),
]


def _own_path_or_url(link: str) -> str:
    # A browser takes `//host` and `/\host` for another host: so do we, and say so.
    return re.sub(r"^/[/\\]+", "https://", link)


Link = Annotated[
    str,
    StringConstraints(pattern=r"^(https?://|/)[^\s]*$", max_length=2000),
    AfterValidator(_own_path_or_url),
]


class PanelType(StrEnum):
    """The visualization of a panel."""

    LINE = "line"
    AREA = "area"
    BAR = "bar"
    GAUGE = "gauge"
    STAT = "stat"
    TABLE = "table"


class Calculation(StrEnum):
    """How a series is reduced to one number."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"


class Position(Contract):
    """A rectangle on the grid: 12 columns, unlimited rows."""

    x: int = Field(ge=0, lt=GRID_COLUMNS)
    y: int = Field(ge=0, le=10_000)
    w: int = Field(ge=1, le=GRID_COLUMNS)
    h: int = Field(ge=1, le=50)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.x + self.w > GRID_COLUMNS:
            raise ValueError(f"x + w must not pass the grid's {GRID_COLUMNS} columns")
        return self


class PanelLayout(Position):
    """The position of panel `i`."""

    i: UUID


class Threshold(Contract):
    """From `value` on, values are shown in `color`."""

    value: float = Field(allow_inf_nan=False)
    color: Color
    label: Annotated[str, StringConstraints(max_length=100)] | None = None


class ValueMapping(Contract):
    """Values from `low` to `high`, both included, are shown as a text, in a colour, or both."""

    low: float | None = Field(default=None, allow_inf_nan=False, description="Null: no lower end.")
    high: float | None = Field(
        default=None, allow_inf_nan=False, description="Null: no upper end. One value: both equal."
    )
    text: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    color: Color | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give low, high or both")
        if self.text is None and self.color is None:
            raise ValueError("give text, color or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class SeriesOverride(Contract):
    """Style of the series whose name matches."""

    match: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="A series name; `*` stands for any text."
    )
    color: Color | None = None
    label: Annotated[str, StringConstraints(max_length=200)] | None = None
    unit: Annotated[str, StringConstraints(max_length=30)] | None = None
    hidden: bool | None = None
    negative: bool | None = Field(
        default=None, description="Drawn below zero, such as bytes sent against bytes received."
    )


class PanelLink(Contract):
    """A link shown on a panel."""

    title: Title
    url: Link


class PanelOptions(Contract):
    """Display options of a panel."""

    unit: Annotated[str, StringConstraints(max_length=30)] | None = Field(
        default=None, examples=["percent", "bytes", "seconds", "ops"]
    )
    decimals: int | None = Field(default=None, ge=0, le=10)
    color: Color | None = None
    palette: Annotated[str, StringConstraints(max_length=30)] | None = None
    show_legend: bool = True
    legend: Literal["list", "table"] = "list"
    thresholds: list[Threshold] = Field(default_factory=list, max_length=20)
    threshold_style: Literal["line", "area", "both"] = "line"
    mappings: list[ValueMapping] = Field(
        default_factory=list, max_length=50, description="Texts for values; the first match counts."
    )
    calculation: Calculation = Calculation.LAST
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    stacked: bool = False
    nulls: Literal["gap", "connect", "zero"] = "gap"
    scale: Literal["linear", "log"] = "linear"
    min_step: PositiveInterval | None = Field(
        default=None, description="The least step of its queries that set none."
    )
    sparkline: bool = True
    overrides: list[SeriesOverride] = Field(default_factory=list, max_length=100)
    links: list[PanelLink] = Field(default_factory=list, max_length=20)
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    repeat: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        default=None, description="Name of a variable: one panel for each of its values."
    )

    @model_validator(mode="after")
    def _min_below_max(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be below max")
        return self


class PanelQuery(Contract):
    """One query of a panel."""

    query: QueryText
    aggregation: Aggregation = Field(
        default=Aggregation.NONE,
        description="Left out: the newest sample at each point; with `groupBy`, avg.",
    )
    step: PositiveInterval | None = None
    tags: Tags = Field(default_factory=dict)
    group_by: list[TagKey] | None = Field(default=None, max_length=16)
    alias: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, examples=["{{host}}"]
    )
    hidden: bool = False


class Panel(Contract):
    """A stored panel."""

    id: UUID
    dashboard_id: UUID
    title: str
    type: PanelType
    queries: list[PanelQuery]
    options: PanelOptions
    position: Position
    created_at: UtcTime
    updated_at: UtcTime


class CreatePanel(Contract):
    """A new panel. `query` is shorthand for a list of one."""

    title: Title
    type: PanelType
    query: QueryText | None = None
    queries: list[PanelQuery] | None = Field(default=None, min_length=1, max_length=26)
    options: PanelOptions = Field(default_factory=PanelOptions)
    position: Position

    @model_validator(mode="after")
    def _one_kind_of_query(self) -> Self:
        if (self.query is None) == (self.queries is None):
            raise ValueError("give either query or queries")
        return self

    def all_queries(self) -> list[PanelQuery]:
        """The queries, with the shorthand expanded."""
        if self.queries is not None:
            return self.queries
        return [PanelQuery(query=self.query or "")]


class PlacedPanel(CreatePanel):
    """A panel with its id; a new one has an id of the client's choice."""

    id: UUID


class UpdatePanel(Contract):
    """Changes to a panel; fields that are left out stay as they are."""

    title: Title | None = None
    type: PanelType | None = None
    query: QueryText | None = None
    queries: list[PanelQuery] | None = Field(default=None, min_length=1, max_length=26)
    options: PanelOptions | None = None
    position: Position | None = None

    @model_validator(mode="after")
    def _one_kind_of_query(self) -> Self:
        if self.query is not None and self.queries is not None:
            raise ValueError("give either query or queries")
        return self

    def all_queries(self) -> list[PanelQuery] | None:
        """The queries, with the shorthand expanded; None when they stay as they are."""
        if self.query is not None:
            return [PanelQuery(query=self.query)]
        return self.queries


class VariableType(StrEnum):
    """Where a variable's values come from."""

    TAG = "tag"
    LIST = "list"
    INTERVAL = "interval"


class Variable(Contract):
    """A value that viewers choose, used in queries and titles as `$name`."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,49}$")]
    label: Annotated[str, StringConstraints(max_length=100)] | None = None
    type: VariableType
    metric: Annotated[str, StringConstraints(max_length=200)] | None = None
    tag: TagKey | None = None
    values: list[Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=list, max_length=500
    )
    multi: bool = False
    include_all: bool = False
    default: list[Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=list, max_length=500
    )

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.type is VariableType.TAG and not (self.metric and self.tag):
            raise ValueError("a variable by tag needs metric and tag")
        if self.type is not VariableType.TAG and not self.values:
            raise ValueError("a variable by list or interval needs values")
        return self


class DashboardSettings(Contract):
    """Settings of the whole dashboard."""

    variables: list[Variable] = Field(default_factory=list, max_length=30)
    time_range: Annotated[str, StringConstraints(max_length=50)] = Field(
        default="1h", description="The default time range: an interval that ends now."
    )
    refresh: PositiveInterval | None = Field(
        default="10s", description="How often the dashboard refreshes; null: never by itself."
    )
    timezone: Literal["browser", "utc"] = "browser"


class DashboardSummary(Contract):
    """A dashboard as lists show it."""

    id: UUID
    name: str
    description: str
    owner_id: UUID
    owner_email: str | None = None
    is_public: bool
    panel_count: int = Field(ge=0)
    favourite: bool = Field(default=False, description="Whether it is a favourite of the caller.")
    viewed_at: UtcTime | None = Field(default=None, description="When the caller last opened it.")
    version: int = Field(ge=1)
    created_at: UtcTime
    updated_at: UtcTime


class Dashboard(Contract):
    """A dashboard with its panels. `version` increases with each change."""

    id: UUID
    name: str
    description: str
    owner_id: UUID
    is_public: bool
    settings: DashboardSettings
    version: int = Field(ge=1)
    panels: list[Panel]
    can_edit: bool = Field(default=False, description="Whether the caller may change it.")
    created_at: UtcTime
    updated_at: UtcTime


class CreateDashboard(Contract):
    """A new dashboard, with or without panels."""

    name: Title
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    is_public: bool = False
    settings: DashboardSettings = Field(default_factory=DashboardSettings)
    panels: list[CreatePanel] = Field(default_factory=list, max_length=200)


class UpdateDashboard(Contract):
    """Changes to a dashboard; fields that are left out stay as they are.

    `version` is the one that was read: a change by someone else in between returns 409.
    """

    version: int = Field(ge=1)
    name: Title | None = None
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    is_public: bool | None = None
    settings: DashboardSettings | None = None
    layout: list[PanelLayout] | None = Field(
        default=None, max_length=200, description="The position of each panel."
    )
    panels: list[PlacedPanel] | None = Field(
        default=None,
        max_length=200,
        description="The complete list of panels: new ones are added, those left out removed.",
    )

    @model_validator(mode="after")
    def _placed_once(self) -> Self:
        if self.layout is not None and self.panels is not None:
            raise ValueError("give either layout or panels; panels have their own positions")
        return self


class DashboardOrder(StrEnum):
    """The order of the list."""

    UPDATED = "updated"
    NAME = "name"
    VIEWED = "viewed"


class SavedPanel(Panel):
    """A panel that was just written, with the version that its dashboard has now."""

    dashboard_version: int = Field(ge=1)


class DuplicateDashboard(Contract):
    """A copy of a dashboard, owned by the caller."""

    name: Title | None = Field(default=None, description='Left out: the name with " (copy)".')


class CopyPanel(Contract):
    """Where a panel is copied to."""

    dashboard_id: UUID
    title: Title | None = None


class SetFavourite(Contract):
    """Whether a dashboard is a favourite of the caller."""

    favourite: bool


class DashboardVersion(Contract):
    """A stored version of a dashboard."""

    version: int = Field(ge=1)
    change: str = Field(description="What was changed.", examples=["layout changed"])
    author_email: str | None = None
    created_at: UtcTime


class DashboardDocument(Contract):
    """A dashboard as a file: the same text for the same dashboard, without ids, times or users."""

    format: Literal["pulseboard/dashboard/1"] = "pulseboard/dashboard/1"
    name: Title
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    settings: DashboardSettings = Field(default_factory=DashboardSettings)
    panels: list[CreatePanel] = Field(default_factory=list, max_length=200)


class ImportDashboard(Contract):
    """A dashboard file: our own format, or Grafana's classic JSON."""

    document: dict[str, Any]
    name: Title | None = Field(default=None, description="Left out: the name in the file.")
    is_public: bool = False


class ImportNote(Contract):
    """What happened to one item of an imported file."""

    outcome: Literal["taken", "changed", "dropped"]
    place: str = Field(description="Which panel or part of the file.")
    message: str


class ImportedDashboard(Contract):
    """A dashboard that was created from a file, and a report of the import."""

    dashboard: Dashboard
    report: list[ImportNote]
