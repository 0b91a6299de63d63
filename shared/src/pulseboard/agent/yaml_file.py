"""Reads YAML files within bounds.

An alias (`*name`) stands for a whole part of a file, and may do so within a part that has an alias
itself: a file of a few lines then has more values than any memory. What it would become is counted
before it is made.
"""

from pathlib import Path
from typing import Any

MOST_CHARACTERS = 20_000_000
"""Of a file with its aliases written out."""


class UnreadableFile(ValueError):
    """A file can't be read; the message says which one, where and why."""


def read(file: Path) -> object:
    """The content of a YAML file. Raises UnreadableFile."""
    try:
        import yaml
    except ImportError:
        raise UnreadableFile("this needs PyYAML: pip install 'pulseboard[agent]'") from None
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(file, node)
            found: object = loader.construct_document(node)
            return found
        finally:
            loader.dispose()
    except OSError as error:
        raise UnreadableFile(f"can't read {file}: {error.strerror}") from None
    except RecursionError:
        raise UnreadableFile(f"{file} is nested too deeply") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file} is no YAML: {error}") from None


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
