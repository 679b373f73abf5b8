"""Review items: made when a part is routed."""

from inspection.models import Routing


def items_create_for_routing(routing: Routing) -> None:
    """Create what a person must look at for a routing."""
    raise NotImplementedError
