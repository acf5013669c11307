"""Export: a TDNet as a graph whose state is explicit, checked against the model before it is left."""

from tdseg.export.build import export

__all__ = ["export"]
