# SPDX-License-Identifier: Apache-2.0
"""The mutants of a module: what cosmic-ray makes of its source, one change each."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from equivalent import EQUIVALENT, EVERYWHERE

#: Annotations are no code, of arithmetic one neighbour each is enough, and `is` is used for members
#: of enums and None: `==` is the same program there, and an order has no meaning.
_EXCLUDED = re.compile(
    "core/("
    r"ReplaceBinaryOperator_(?!(Add_Sub|Sub_Add|Mul_Div|Div_Mul|BitAnd_BitXor)$).*"
    r"|RemoveDecorator"
    r"|ReplaceComparisonOperator_Is_(?!IsNot$).*"
    r"|ReplaceComparisonOperator_IsNot_(?!Is$).*"
    ")"
)


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    `changed` is its line as it is, and as the mutant has it. `lines` are those of its statement,
    of which a test must run one to notice; None where it runs on import. `constant` is the
    statement where that one only binds names of the module, as the mutant has it.
    """

    module: str
    operator: str
    line: int
    lines: range | None
    source: str
    changed: str
    constant: ast.Assign | ast.AnnAssign | None

    @property
    def names(self) -> frozenset[str]:
        """The names of the module that the changed statement binds."""
        if self.constant is None:
            return frozenset()
        constant = self.constant
        targets = constant.targets if isinstance(constant, ast.Assign) else [constant.target]
        walked = (node for target in targets for node in ast.walk(target))
        return frozenset(node.id for node in walked if isinstance(node, ast.Name))

    @property
    def is_equivalent(self) -> bool:
        """Whether it is listed as one that no test could tell."""
        return any(
            module in (self.module, EVERYWHERE)
            and self.operator.endswith(operator)
            and line in self.changed
            for module, operator, line, _ in EQUIVALENT
        )


def mutants(module: str, source: str, *, on_import: bool) -> Iterator[Mutant]:
    """Make the mutants of a source that compile: those to be imported, or all others."""
    nodes, tree = list(ast_nodes(get_ast(source))), ast.parse(source)
    statements = dict(_statements(tree, is_run_on_import=True))
    for name in cosmic_ray.plugins.operator_names():
        operator_class = cosmic_ray.plugins.get_operator(name)
        if _EXCLUDED.match(name) or operator_class.arguments():
            continue
        operator = operator_class()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, _) in enumerate(starts):
            lines = statements.get(line)
            if on_import != (lines is None and _constant(tree, line) is None):
                continue
            mutated = MutationVisitor.mutate_code(source, operator, occurrence)
            try:
                changed = ast.parse(mutated)
                compile(changed, module, "exec")
            except SyntaxError:
                continue
            yield Mutant(
                module=module,
                operator=name,
                line=line,
                lines=lines,
                source=mutated,
                changed=_changed(source, mutated),
                constant=_constant(changed, line),
            )


def _constant(tree: ast.Module, line: int) -> ast.Assign | ast.AnnAssign | None:
    """The statement of a line that binds names of the module and does nothing else."""
    return next(
        (
            statement
            for statement in tree.body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            and statement.lineno <= line <= (statement.end_lineno or line)
        ),
        None,
    )


def _statements(node: ast.AST, *, is_run_on_import: bool) -> Iterator[tuple[int, range | None]]:
    """Yield lines with those of the innermost statement that they are of, the outer ones first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            body = getattr(child, "body", None)
            last = child.end_lineno or child.lineno
            # Of a compound statement its head: its body consists of others.
            head = range(child.lineno, max(body[0].lineno, child.lineno + 1) if body else last + 1)
            for line in range(child.lineno, last + 1):
                yield line, None if is_run_on_import else head
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _statements(child, is_run_on_import=is_run_on_import and not is_function)


def _changed(source: str, mutated: str) -> str:
    lines = difflib.unified_diff(source.splitlines(), mutated.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
