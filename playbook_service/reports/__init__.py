"""Reports for management and for the review after an incident: figures of a period, and the story of one case."""
