"""Driving-like street video, drawn by a seeded generator, with the exact class of every pixel."""

from tdseg.street.render import StreetFrame, render_street

__all__ = ["StreetFrame", "render_street"]
