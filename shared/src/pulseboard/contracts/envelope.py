"""The envelope of every success: `{data, meta?}`."""

from typing import Generic, TypeVar

from pydantic import Field

from pulseboard.contracts.base import Contract

T = TypeVar("T")


class PageMeta(Contract):
    """The position of a page in its list. Pages are numbered from 1."""

    total: int = Field(ge=0)
    page: int = Field(ge=1)
    page_size: int = Field(ge=1)


class ApiResponse(Contract, Generic[T]):
    """A success with its data and, for lists, the pagination."""

    data: T
    meta: PageMeta | None = None
