"""Reads YAML files within bounds.

An alias (`*name`) stands for a whole part of a file, and may do so within a part that has an alias
itself: a file of a few lines then has more values than any memory. What it would become is counted
before it is made.

How deep a file is nested is counted while it is scanned: PyYAML looks back at every open bracket at
each token, so that a deep file would take seconds before it is refused.
"""

from functools import cache
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 20_000_000
"""Of a file with its aliases written out."""

MOST_LEVELS = 100
"""Of lists and mappings in each other."""


class UnreadableFile(ValueError):
    """A file can't be read; the message says which one, where and why."""


def read(file: Path) -> object:
    """The content of a YAML file. Raises UnreadableFile."""
    try:
        import yaml
    except ImportError:
        raise UnreadableFile("this needs PyYAML: pip install 'pulseboard[agent]'") from None
    try:
        loader = _loader()(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(file, node)
            return _constructed(file, loader, node)
        finally:
            loader.dispose()
    except OSError as error:
        raise UnreadableFile(f"can't read {file}: {error.strerror}") from None
    except _TooDeep as error:
        raise UnreadableFile(
            f"{file}, line {error}: this is nested too deeply, {MOST_LEVELS} levels are accepted"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file} is no YAML: {error}") from None


class _TooDeep(Exception):
    """A file goes deeper than MOST_LEVELS; the text is the line where it does."""


def _constructed(file: Path, loader: Any, node: Any) -> object:
    """What the nodes stand for. PyYAML checks no value of a tag before it converts it."""
    try:
        found: object = loader.construct_document(node)
    except (ValueError, OverflowError, LookupError, AttributeError, TypeError):
        raise UnreadableFile(
            f"{file} has a number, a date or a value with a tag (!!) that can't be read"
        ) from None
    return found


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def fetch_more_tokens(self) -> None:
            if self.flow_level + len(self.indents) > MOST_LEVELS:
                raise _TooDeep(str(self.line + 1))
            super().fetch_more_tokens()

    return Loader


def _check_size(file: Path, root: Any) -> None:
    """Count what the file becomes, each node once. Raises UnreadableFile."""
    sizes: dict[int, int] = {}
    begun: set[int] = set()
    left = [root]
    while left:
        node = left[-1]
        inner = _inner(node)
        waiting = [each for each in inner if id(each) not in sizes]
        if id(node) in sizes or not waiting:
            left.pop()
            sizes[id(node)] = _own_size(node) + sum(sizes[id(each)] for each in inner)
            if sizes[id(node)] > MOST_CHARACTERS:
                raise UnreadableFile(
                    f"{file}, {_place(node)}: with its aliases (*name) written out this has more "
                    f"than the {MOST_CHARACTERS} characters that are accepted"
                )
        elif id(node) in begun:
            raise UnreadableFile(f"{file}, {_place(node)}: an alias (*name) is inside of its own")
        else:
            begun.add(id(node))
            left += waiting


def _inner(node: Any) -> list[Any]:
    if isinstance(node.value, str):
        return []
    return [part for each in node.value for part in (each if isinstance(each, tuple) else [each])]


def _own_size(node: Any) -> int:
    return 1 + (len(node.value) if isinstance(node.value, str) else 0)


def _place(node: Any) -> str:
    return f"line {node.start_mark.line + 1}"
