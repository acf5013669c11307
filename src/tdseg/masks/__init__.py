"""Masks of classes: their names and colours, read from any tool, drawn and written."""
