"""Adding a class, with what it needs, to a module that is there already."""

from __future__ import annotations

import ast

#: The longest line of imports, as most formatters have it.
LONGEST_LINE = 88


def names_of(nodes: list[ast.stmt]) -> set[str]:
    """The names that these statements of a module bind."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def merged(present: str, new: str) -> str:
    """The module `present` with what the module `new` defines at its end.

    What `new` imports from `hosting` joins the import that is there. Its other imports and its
    variables come after the imports that are there, unless their names are bound already.
    """
    tree = ast.parse(present).body
    *head, body = ast.parse(new).body
    lines, bound = present.splitlines(), names_of(tree)
    missing = [node for node in head if _is_from_hosting(node) or not names_of([node]) <= bound]
    first, last = _imports(tree)
    for node in reversed(missing):
        joined = next(filter(_is_from_hosting, tree), None) if _is_from_hosting(node) else None
        if isinstance(node, ast.Import):
            lines[first:first] = [ast.unparse(node), ""]
        elif isinstance(joined, ast.ImportFrom):
            lines[joined.lineno - 1 : joined.end_lineno] = _from_hosting(node, joined)
        elif isinstance(node, ast.ImportFrom):
            lines[last:last] = _from_hosting(node)
        else:
            lines[last:last] = ["", ast.unparse(node)]
    source = ast.get_source_segment(new, body)
    return "\n".join(lines).strip("\n") + f"\n\n\n{source}\n"


def _imports(tree: list[ast.stmt]) -> tuple[int, int]:
    """Where the imports begin and end: after as many lines."""
    imports = [node for node in tree if isinstance(node, (ast.Import, ast.ImportFrom))]
    own = [node for node in imports if not _is_from(node, "__future__")]
    is_docstring = bool(tree) and isinstance(tree[0], ast.Expr)
    preamble = [*(tree[:1] if is_docstring else []), *imports]
    end = max((node.end_lineno or 0 for node in preamble), default=0)
    return (own[0].lineno - 1 if own else end), end


def _from_hosting(*nodes: ast.stmt) -> list[str]:
    """One import of everything that these import from `hosting`."""
    names = sorted({ast.unparse(name) for node in nodes for name in getattr(node, "names", [])})
    line = f"from hosting import {', '.join(names)}"
    if len(line) <= LONGEST_LINE:
        return [line]
    return ["from hosting import (", *(f"    {name}," for name in names), ")"]


def _is_from_hosting(node: ast.stmt) -> bool:
    return _is_from(node, "hosting")


def _is_from(node: ast.stmt, module: str) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == module and not node.level
