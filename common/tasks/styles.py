"""x"""
from common.tasks.capability import Capability


class Styles(Capability):
    """Styles."""
