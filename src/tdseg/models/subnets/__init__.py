"""Sub-networks: what one path computes of one frame, image -> sub-feature z."""

from tdseg.models.subnets.base import SubFeature, SubNetwork
from tdseg.models.subnets.families import FAMILIES, make_subnetwork

__all__ = ["FAMILIES", "SubFeature", "SubNetwork", "make_subnetwork"]
