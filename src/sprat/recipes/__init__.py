"""Recipes: Python functions returning Recipe values."""

from sprat.recipes.small import Schedule, remedy, schedule_for

__all__ = ["Schedule", "remedy", "schedule_for"]
