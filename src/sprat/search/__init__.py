"""Choosing an architecture: `pick` ranks the zoo's candidates under a budget before anything is trained."""

from sprat.search.pick import Candidate, Plan, pick

__all__ = ["Candidate", "Plan", "pick"]
