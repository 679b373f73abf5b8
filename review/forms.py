"""Reading addresses of review's pages: filters and windows. Nonsense counts as not given."""


def number_of(text: str | None) -> int | None:
    """Return a row's number from an address, or ``None``."""
    # 18 digits fit the database's integers; isdecimal alone lets in digits of other scripts.
    if text and len(text) <= 18 and text.isascii() and text.isdecimal():
        return int(text)
    return None
