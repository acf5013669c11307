"""Measures of segmentation: accuracy against labels, steadiness over time."""
