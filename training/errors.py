"""What training refuses, in words a person can act on."""

from inspection.errors import ConflictError, DomainError


class TooFewNormalsError(DomainError):
    """There are not enough verified normals to learn from; ``extra`` holds have and need."""

    code = "too_few_normals"


class NothingNewError(ConflictError):
    """The same images, labels and settings have been learned already; ``extra`` names the run."""

    code = "nothing_new"


class RunOpenError(ConflictError):
    """The view has a run that waits or works; ``extra`` names it."""

    code = "run_open"
