"""The one error type a user can meet: a stable code, a cause, a remedy; numbers, never data.

Families: E1xx data and plan, E2xx models, E3xx running, E4xx statistics, E5xx integrity.
"""

from __future__ import annotations

EXIT_PASS, EXIT_FAIL, EXIT_USAGE, EXIT_INCONCLUSIVE, EXIT_RUN, EXIT_INTEGRITY = range(6)

_EXIT_BY_FAMILY = {"3": EXIT_RUN, "5": EXIT_INTEGRITY}


class AuditError(Exception):
    """An error meant for the user.

    Parameters
    ----------
    code: stable identifier such as ``E103``; its first digit names the family and fixes the exit code.
    cause: what was expected and what was found, in numbers. Never a prompt, an answer or a name from the data.
    remedy: what to do next, one sentence.

    """

    def __init__(self, code: str, cause: str, remedy: str) -> None:
        super().__init__(code, cause, remedy)  # all three, so that the error survives a process boundary
        self.code = code
        self.cause = cause
        self.remedy = remedy

    @property
    def exit_code(self) -> int:
        """Return 4 for run errors (E3xx), 5 for integrity errors (E5xx), else 2."""
        return _EXIT_BY_FAMILY.get(self.code[1], EXIT_USAGE)

    def __str__(self) -> str:
        return f"{self.code} {self.cause}; {self.remedy}"
