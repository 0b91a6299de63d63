"""Dashboards and the panels on them."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from pulseboard.contracts.base import Contract, PositiveInterval, UtcTime
from pulseboard.contracts.variables import Variable
from pulseboard.contracts.vocabulary import (
    Aggregation,
    PanelTitle,
    QueryText,
    TagKey,
    Tags,
    Title,
)

GRID_COLUMNS = 12

Color = Annotated[
    str,
    StringConstraints(pattern=r"^(#[0-9a-fA-F]{6}|[a-z][a-z0-9-]{0,30})$"),
    Field(description="`#rrggbb`, or a name of the palette such as `blue`."),
]


STORED = {"stored": True}
"""The context to validate what is stored already with: `model_validate(…, context=STORED)`."""


def _own_path_or_url(link: str, info: ValidationInfo) -> str:
    # A browser takes `//host` and `/\host` for another host.
    elsewhere = re.match(r"/[/\\]+", link)
    if elsewhere is None:
        return link
    if isinstance(info.context, dict) and info.context.get("stored"):
        # Boards that were saved before this was refused are read, and show the host.
        return "https://" + link[elsewhere.end() :]
    raise ValueError("a path starts with one slash; write another host as https://host/path")


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
    BAR_GAUGE = "barGauge"
    PIE = "pie"
    HEATMAP = "heatmap"
    HISTOGRAM = "histogram"
    STATE_TIMELINE = "stateTimeline"
    STATUS_HISTORY = "statusHistory"
    BAR_CHART = "barChart"
    """Bars by category; `bar` draws them over time."""
    XY = "xy"
    TEXT = "text"
    ALERT_LIST = "alertList"
    DASHBOARD_LIST = "dashboardList"
    ROW = "row"
    """The head of a section: the panels below it, up to the next row, belong to it."""
    UNKNOWN = "unknown"
    """A panel of another product that is not drawn; its JSON is kept."""


WITHOUT_QUERY = (
    PanelType.TEXT,
    PanelType.ALERT_LIST,
    PanelType.DASHBOARD_LIST,
    PanelType.ROW,
    PanelType.UNKNOWN,
)
"""Panels that may have no query."""


class Calculation(StrEnum):
    """How a series is reduced to one number."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    FIRST = "first"
    COUNT = "count"
    RANGE = "range"
    """The largest less the smallest."""
    DIFFERENCE = "difference"
    """The last less the first."""


class Position(Contract):
    """A rectangle on the grid: 12 columns, unlimited rows."""

    x: int = Field(ge=0, lt=GRID_COLUMNS)
    y: int = Field(ge=0, le=10_000)
    w: int = Field(ge=1, le=GRID_COLUMNS)
    h: int = Field(ge=1, le=100)

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
    """Values from `low` to `high`, both included, are shown as a text, in a colour, or both.

    Texts, such as those of a table's label columns, are matched by `pattern`; `special` is for no
    value.
    """

    low: float | None = Field(default=None, allow_inf_nan=False, description="Null: no lower end.")
    high: float | None = Field(
        default=None, allow_inf_nan=False, description="Null: no upper end. One value: both equal."
    )
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="A text, in which `*` stands for any text."
    )
    special: Literal["empty"] | None = Field(default=None, description="No value, or NaN.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    color: Color | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        ends = self.low is not None or self.high is not None
        if ends + (self.pattern is not None) + (self.special is not None) != 1:
            raise ValueError("give low, high or both, or pattern, or special")
        if self.text is None and self.color is None:
            raise ValueError("give text, color or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low must not be above high")
        return self


LineStyle = Literal["solid", "dash", "dot"]
Interpolation = Literal["linear", "smooth", "stepBefore", "stepAfter"]
CellKind = Literal["text", "color", "background", "gauge", "sparkline"]


class FieldLink(Contract):
    """A link from a value, such as a point or a cell.

    `${__field.labels.x}`, `${__value.raw}`, `${__url_time_range}`, `${__all_variables}` and the
    board's variables are filled in.
    """

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    url: Link


class SeriesOverride(Contract):
    """Style of the series, or the column of a table, that matches."""

    match: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="What `by` says: a name in which `*` stands for any text, a regular "
        "expression, a query's letter, or `number`, `text`, `time`."
    )
    by: Literal["name", "pattern", "query", "type"] = "name"
    color: Color | None = None
    label: Annotated[str, StringConstraints(max_length=200)] | None = None
    unit: Annotated[str, StringConstraints(max_length=30)] | None = None
    decimals: int | None = Field(default=None, ge=0, le=10)
    hidden: bool | None = None
    negative: bool | None = Field(
        default=None, description="Drawn below zero, such as bytes sent against bytes received."
    )
    kind: Literal["line", "area", "bar", "points"] | None = None
    axis: Literal["left", "right", "hidden"] | None = None
    stack: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        default=None, description="The group it is stacked in; empty: not stacked."
    )
    line_width: float | None = Field(default=None, ge=0, le=10)
    fill: int | None = Field(default=None, ge=0, le=100, description="Opacity in percent.")
    line_style: LineStyle | None = None
    interpolation: Interpolation | None = None
    points: Literal["auto", "always", "never"] | None = None
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    thresholds: list[Threshold] | None = Field(default=None, max_length=20)
    mappings: list[ValueMapping] | None = Field(default=None, max_length=200)
    links: list[FieldLink] | None = Field(default=None, max_length=20)
    width: int | None = Field(default=None, ge=10, le=2000, description="Of a column, in pixels.")
    align: Literal["left", "center", "right"] | None = None
    cell: CellKind | None = None


class Transformation(Contract):
    """A step that changes a table before it is shown; ids and options are Grafana's."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=50)] = Field(
        examples=["organize", "merge", "joinByField", "groupBy", "reduce", "sortBy", "limit"]
    )
    disabled: bool = False
    options: dict[str, Any] = Field(default_factory=dict)


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
    legend_side: Literal["bottom", "right"] = "bottom"
    legend_values: list[Calculation] = Field(default_factory=list, max_length=10)
    tooltip: Literal["single", "all", "hidden"] = "all"
    tooltip_sort: Literal["none", "asc", "desc"] = "desc"
    thresholds: list[Threshold] = Field(default_factory=list, max_length=20)
    threshold_style: Literal["line", "area", "both", "none"] = "line"
    threshold_mode: Literal["absolute", "percent"] = Field(
        default="absolute", description="`percent`: of the way from min to max."
    )
    base_color: Color | None = Field(default=None, description="Below the first threshold.")
    mappings: list[ValueMapping] = Field(
        default_factory=list,
        max_length=200,
        description="Texts for values; the first match counts.",
    )
    no_value: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="Shown where there is no value."
    )
    color_mode: Literal["none", "value", "background"] = Field(
        default="value", description="What of a stat has the colour of its value."
    )
    color_by: Literal["series", "value"] = Field(
        default="series", description="Lines and bars in colours of their own or of their values."
    )
    text_mode: Literal["auto", "value", "name", "valueAndName", "none"] = "auto"
    orientation: Literal["auto", "horizontal", "vertical"] = "auto"
    shape: Literal["basic", "gradient", "segments", "pie", "donut"] | None = None
    axis_label: Annotated[str, StringConstraints(max_length=100)] | None = None
    axis: Literal["left", "right", "hidden"] = "left"
    soft_min: float | None = Field(default=None, allow_inf_nan=False)
    soft_max: float | None = Field(default=None, allow_inf_nan=False)
    line_width: float | None = Field(default=None, ge=0, le=10)
    fill: int | None = Field(default=None, ge=0, le=100, description="Opacity in percent.")
    gradient: bool = False
    points: Literal["auto", "always", "never"] = "auto"
    line_style: LineStyle = "solid"
    interpolation: Interpolation = "linear"
    stack_percent: bool = Field(default=False, description="Stacked to 100 %.")
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
    field_links: list[FieldLink] = Field(default_factory=list, max_length=20)
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    repeat: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        default=None, description="Name of a variable: one panel or row for each of its values."
    )
    repeat_direction: Literal["right", "down"] = "right"
    repeat_max: int | None = Field(
        default=None, ge=1, le=12, description="Panels side by side when repeated to the right."
    )
    transformations: list[Transformation] = Field(default_factory=list, max_length=50)
    column_header: bool = True
    footer: list[Calculation] = Field(
        default_factory=list, max_length=5, description="Of a table's columns."
    )
    cell: CellKind | None = Field(
        default=None, description="Left out: a number in the colour of its threshold."
    )
    time_from: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        default=None,
        description="A range of its own that ends now, such as `1h`, instead of the dashboard's.",
    )
    time_shift: Annotated[str, StringConstraints(max_length=50)] | None = Field(
        default=None, description="How much earlier than the dashboard's its range is: `1d`."
    )
    content: Annotated[str, StringConstraints(max_length=20_000)] | None = Field(
        default=None, description="Of a text panel: Markdown, in which variables are filled in."
    )
    collapsed: bool = Field(default=False, description="A row that is folded at first.")
    section: Literal["row", "tab"] = Field(
        default="row", description="Whether a row is a head to fold or a tab beside others."
    )
    buckets: bool = Field(
        default=False, description="A heatmap of series that are buckets already, such as `le`."
    )
    source: dict[str, Any] | None = Field(
        default=None, description="The panel as it was in an imported file, for what isn't drawn."
    )
    source_id: int | None = Field(
        default=None, description="The id of the panel in the imported file."
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
    ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,19}$")] | None = Field(
        default=None, description="Its name in transformations; left out: A, B, … in order."
    )
    instant: bool = Field(default=False, description="Only the newest point.")
    format: Literal["series", "table", "heatmap"] = "series"


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

    title: PanelTitle
    type: PanelType
    query: QueryText | None = None
    queries: list[PanelQuery] | None = Field(
        default=None, max_length=50, description="Empty only for panels that draw no query."
    )
    options: PanelOptions = Field(default_factory=PanelOptions)
    position: Position

    @model_validator(mode="after")
    def _one_kind_of_query(self) -> Self:
        if self.type not in WITHOUT_QUERY or self.query is not None:
            if (self.query is None) == (self.queries is None):
                raise ValueError("give either query or queries")
            if self.queries is not None and not self.queries:
                raise ValueError(f"a panel of type {self.type} needs a query")
        return self

    def all_queries(self) -> list[PanelQuery]:
        """The queries, with the shorthand expanded."""
        if self.queries is not None:
            return self.queries
        return [PanelQuery(query=self.query)] if self.query is not None else []


class PlacedPanel(CreatePanel):
    """A panel with its id; a new one has an id of the client's choice."""

    id: UUID


class UpdatePanel(Contract):
    """Changes to a panel; fields that are left out stay as they are."""

    title: PanelTitle | None = None
    type: PanelType | None = None
    query: QueryText | None = None
    queries: list[PanelQuery] | None = Field(default=None, max_length=50)
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


class DashboardLink(Contract):
    """A link of a dashboard: to an address, or to all dashboards whose name holds a text."""

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    url: Link | None = None
    search: Annotated[str, StringConstraints(max_length=100)] | None = None
    keep_time: bool = Field(default=False, description="The time range goes along.")
    keep_variables: bool = Field(default=False, description="The variables go along.")
    new_tab: bool = False


class DashboardSettings(Contract):
    """Settings of the whole dashboard."""

    links: list[DashboardLink] = Field(default_factory=list, max_length=50)

    variables: list[Variable] = Field(default_factory=list, max_length=100)
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
    panels: list[CreatePanel] = Field(default_factory=list, max_length=500)


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
        default=None, max_length=500, description="The position of each panel."
    )
    panels: list[PlacedPanel] | None = Field(
        default=None,
        max_length=500,
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
    panels: list[CreatePanel] = Field(default_factory=list, max_length=500)


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
    reason: str = Field(default="", description="The same for notes of the same kind.")


class DashboardImport(Contract):
    """The report of the import that a dashboard comes from: worst first, the same together."""

    report: list[ImportNote]
    imported_at: UtcTime


class ImportedDashboard(Contract):
    """A dashboard that was created from a file, and a report of the import."""

    dashboard: Dashboard
    report: list[ImportNote]
