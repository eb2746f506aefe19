"""The size budgets. What hurts is never the median, always the one file or function where everything meets.

`make sizes` prints the largest.
"""

import pytest

from tests.architecture import reading

FILE_SOFT, FILE_HARD = 300, 500
FUNCTION_SOFT, FUNCTION_HARD = 40, 60
PARAMETERS = 6
OVER_SOFT = 0.10  # this part of all may be over the soft budget

FOLDERS = ("src", "tests", "benchmarks")

# tables, which grow by rows and are read as one page
TABLES = {
    "src/undrift/errors.py": "the whole error tree on one page, two lines a class",
    "src/undrift/db/migrations/versions/0001_first_schema.py": "a schema, as Alembic wrote it",
}

# parameter lists that somebody else decides
FOREIGN_SIGNATURES: dict[str, str] = {}


def listed(rows: list[tuple[int, str]]) -> str:
    return "\n".join(f"  {size:5} {name}" for size, name in sorted(rows, reverse=True))


def test_no_file_is_over_the_hard_budget() -> None:
    over = [
        (m.lines, m.path) for m in reading.modules(*FOLDERS) if m.lines > FILE_HARD and m.path not in TABLES
    ]

    assert not over, f"files over {FILE_HARD} lines; a room that is too full is two rooms:\n{listed(over)}"


def test_few_files_are_over_the_soft_budget() -> None:
    code = [module for module in reading.modules("src") if module.lines]
    over = [(module.lines, module.path) for module in code if module.lines > FILE_SOFT]
    allowed = max(1, int(len(code) * OVER_SOFT))

    assert len(over) <= allowed, (
        f"{len(over)} of {len(code)} files are over {FILE_SOFT} lines, {allowed} may be:\n{listed(over)}"
    )


def test_no_function_is_over_the_hard_budget() -> None:
    all_functions = reading.functions(reading.modules(*FOLDERS))
    over = [
        (f.lines, f"{f.where} {f.name}")
        for f in all_functions
        if f.lines > FUNCTION_HARD and f.where.partition(":")[0] not in TABLES
    ]

    assert not over, f"functions over {FUNCTION_HARD} lines:\n{listed(over)}"


def test_few_functions_are_over_the_soft_budget() -> None:
    all_functions = list(reading.functions(reading.modules("src")))
    over = [(f.lines, f"{f.where} {f.name}") for f in all_functions if f.lines > FUNCTION_SOFT]
    allowed = int(len(all_functions) * OVER_SOFT)

    assert len(over) <= allowed, (
        f"{len(over)} of {len(all_functions)} functions are over {FUNCTION_SOFT} lines, "
        f"{allowed} may be:\n{listed(over)}"
    )


def test_no_function_takes_too_many_parameters() -> None:
    over = [
        (function.parameters, f"{function.where} {function.name}")
        for function in reading.functions(reading.modules("src", "benchmarks"))
        if function.parameters > PARAMETERS and function.name not in FOREIGN_SIGNATURES
    ]

    assert not over, (
        f"functions of more than {PARAMETERS} parameters; what belongs together is a value:\n"
        + (listed(over))
    )


@pytest.mark.parametrize("folder", ["src"])
def test_there_is_code_to_measure(folder: str) -> None:
    """The budgets must not pass because nothing was found."""
    assert len(reading.modules(folder)) > 20
